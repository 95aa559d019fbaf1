"""What tests are made of: real servers, tasks to put into them, conditions to wait for."""
