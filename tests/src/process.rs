//! Processes that end with the test.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, ExitStatus};

/// A child that is killed, by its process id, when dropped.
pub struct Running(Option<Child>);

impl Running {
    /// Takes a child over.
    pub fn new(child: Child) -> Self {
        Self(Some(child))
    }

    /// The child.
    ///
    /// # Panics
    ///
    /// Never: it is there until `wait`.
    pub fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("only `wait` takes it")
    }

    /// Its process id.
    pub fn pid(&mut self) -> u32 {
        self.child().id()
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// Where the system cannot tell.
    pub fn wait(mut self) -> ExitStatus {
        let status = self.child().wait().expect("a child that was started ends");
        self.0 = None;
        status
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A loopback port that nobody listens on.
///
/// # Panics
///
/// Where the system has none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has ports");
    listener.local_addr().expect("it is bound").port()
}

/// Waits until somebody listens on a loopback port, or `alive` says that nobody will.
///
/// # Panics
///
/// Where nobody does.
pub fn wait_for_port(port: u16, server: &mut Running) {
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = server.child().try_wait().expect("its state can be asked for");
        assert!(ended.is_none(), "the server ended with {ended:?}");
        std::thread::yield_now();
    }
}
