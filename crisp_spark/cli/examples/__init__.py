"""Examples that a user can run and copy: real data, a whole project file each."""
