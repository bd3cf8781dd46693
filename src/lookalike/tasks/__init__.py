"""What is done with data and models: each file is a command, its function has the file's name."""
