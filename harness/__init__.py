"""Real Airflows for tests, the demo and the proof: started, asked, signalled and ended."""
