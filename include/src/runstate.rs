//! Requests that end, restart or pause the machine; `system/runstate` implements them.

/// Why the machine shall stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownCause {
    /// The guest powered off; the status is the process's exit status.
    GuestShutdown { status: i32 },
    /// The guest panicked or failed with a status (test finisher FAIL).
    GuestPanic { status: i32 },
    /// The user asked (Ctrl-A x, monitor `quit`, a signal).
    HostRequest,
}

/// Handle for requests from devices and front ends. All calls return at once; the request is
/// carried out by the main loop.
pub trait RunStateControl: Send + Sync {
    /// Ends the machine (obeying `-no-shutdown`).
    fn shutdown_request(&self, cause: ShutdownCause);
    /// Resets the machine (obeying `-no-reboot`).
    fn reset_request(&self);
    /// Stops the vCPUs and the virtual clock.
    fn pause_request(&self);
    /// Lets them go on.
    fn resume_request(&self);
}
