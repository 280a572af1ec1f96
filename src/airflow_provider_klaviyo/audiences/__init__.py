"""What an audience is: columns and fields, values, batches and rejected rows. Pure: no clock, file or network."""
