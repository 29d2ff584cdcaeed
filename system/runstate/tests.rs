//! Requests, what they do to the machine, and where it stands then.

use std::time::Duration;

use super::*;

/// Writes down what is done to it.
#[derive(Default)]
struct Diary(Mutex<Vec<&'static str>>);

impl MachineControl for Diary {
    fn pause_cpus(&self) {
        self.0.lock().push("pause");
    }
    fn resume_cpus(&self) {
        self.0.lock().push("resume");
    }
    fn reset(&self) {
        self.0.lock().push("reset");
    }
}

/// A started machine; then `requests`, one pass each; then the diary since the start, the state,
/// and the exit status if the loop ended.
fn check(
    actions: Actions,
    requests: &[&dyn Fn(&RunStateMachine)],
    diary: &[&str],
    state: RunState,
    exit: Option<i32>,
) {
    let main_loop = MainLoop::new();
    let run = RunStateMachine::new(main_loop.clone(), actions);
    let machine = Arc::new(Diary::default());
    run.set_machine(machine.clone());
    run.resume_request();
    let pass = || main_loop.iterate(Some(Duration::from_millis(1)));
    pass();
    assert_eq!(run.state(), RunState::Running);
    machine.0.lock().clear();
    for request in requests {
        request(&run);
        pass();
    }
    assert_eq!(*machine.0.lock(), diary);
    assert_eq!(run.state(), state);
    if let Some(status) = exit {
        main_loop.run();
        assert_eq!(run.exit_status(), status);
    }
}

fn off(status: i32) -> impl Fn(&RunStateMachine) {
    move |run| run.shutdown_request(ShutdownCause::GuestShutdown { status })
}

fn panicked(run: &RunStateMachine) {
    run.shutdown_request(ShutdownCause::GuestPanic { status: 3 });
}

fn quit(run: &RunStateMachine) {
    run.shutdown_request(ShutdownCause::HostRequest);
}

fn reset(run: &RunStateMachine) {
    run.reset_request();
}

fn stop(run: &RunStateMachine) {
    run.pause_request();
}

fn cont(run: &RunStateMachine) {
    run.resume_request();
}

const KEEP: Actions = Actions {
    reset_is_shutdown: false,
    shutdown_is_pause: true,
    panic: OnPanic::Shutdown,
};

#[test]
fn the_guest_ends_with_its_status() {
    let default = Actions::default();
    check(default, &[&off(0)], &["pause"], RunState::Shutdown, Some(0));
    check(default, &[&off(7)], &["pause"], RunState::Shutdown, Some(7));
    check(
        default,
        &[&panicked],
        &["pause"],
        RunState::Shutdown,
        Some(3),
    );
    let fail = Actions {
        panic: OnPanic::ExitFailure,
        ..default
    };
    check(fail, &[&panicked], &["pause"], RunState::Shutdown, Some(1));
    let ignore = Actions {
        panic: OnPanic::None,
        ..default
    };
    check(ignore, &[&panicked], &[], RunState::Running, None);
}

#[test]
fn the_user_ends_it_with_0() {
    check(KEEP, &[&quit], &["pause"], RunState::Shutdown, Some(0));
    let both: &dyn Fn(&RunStateMachine) = &|run| {
        off(5)(run);
        quit(run);
    };
    check(
        Actions::default(),
        &[both],
        &["pause"],
        RunState::Shutdown,
        Some(0),
    );
}

#[test]
fn no_shutdown_keeps_it_until_a_reset() {
    check(
        KEEP,
        &[&off(7), &cont],
        &["pause"],
        RunState::Shutdown,
        None,
    );
    let diary = ["pause", "pause", "reset", "resume"];
    check(
        KEEP,
        &[&off(7), &reset, &cont],
        &diary,
        RunState::Running,
        None,
    );
    let keep_panic = Actions {
        panic: OnPanic::Pause,
        ..Actions::default()
    };
    check(
        keep_panic,
        &[&panicked],
        &["pause"],
        RunState::GuestPanicked,
        None,
    );
}

#[test]
fn reset_goes_on_or_ends() {
    let default = Actions::default();
    check(
        default,
        &[&reset],
        &["pause", "reset", "resume"],
        RunState::Running,
        None,
    );
    let no_reboot = Actions {
        reset_is_shutdown: true,
        ..default
    };
    check(
        no_reboot,
        &[&reset],
        &["pause"],
        RunState::Shutdown,
        Some(0),
    );
    let both = Actions {
        reset_is_shutdown: true,
        ..KEEP
    };
    check(both, &[&reset], &["pause"], RunState::Shutdown, None);
    let paused = ["pause", "pause", "reset"];
    check(
        default,
        &[&stop, &reset],
        &paused,
        RunState::Prelaunch,
        None,
    );
}

#[test]
fn pause_and_resume() {
    let default = Actions::default();
    check(default, &[&stop, &stop], &["pause"], RunState::Paused, None);
    check(
        default,
        &[&stop, &cont, &cont],
        &["pause", "resume"],
        RunState::Running,
        None,
    );
}
