//! What every back end of the host's file system must do: a table of checks that panic when they fail.
