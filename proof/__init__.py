"""No campaign is made or sent twice, whatever fails: schedules of faults, judged by the sandbox's ledger."""
