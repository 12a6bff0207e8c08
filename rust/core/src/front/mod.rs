//! The listener: TLS, sockets and the bytes that leave through them.
//!
//! It ends TLS and hands what comes in to the event loop of the app in batches; what goes out stands in one ordered
//! queue for each connection (`outbox`). A watch or a long body is put into that queue as what it is: its bytes are
//! made and written here, when there is room for them. The app keeps every decision; the front keeps bytes moving.

mod body;
mod http2;
mod identity;
mod inbox;
mod limits;
mod listener;
mod meter;
mod outbox;
mod pace;
mod raw;
mod request;
mod simple;
mod stream;
mod tls;

use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

pub use body::Body;
pub use identity::Identity;
pub use inbox::{Input, Opened};
pub use limits::Limits;
pub use outbox::Outbox;
pub use request::{Request, Style, head_of, head_of_two, is_field};
pub use stream::Source;
pub use tls::{Certificate, Tls};

use inbox::Shared;

/// Why the front cannot do what it is asked to.
#[derive(Debug)]
pub enum Error {
    /// A certificate, a key or an authority cannot be used; the text says which and why.
    Tls(String),
    /// The system refuses.
    Io(io::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Tls(text) => formatter.write_str(text),
            Error::Io(error) => error.fmt(formatter),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Io(error)
    }
}

/// The front. Its methods may be called from any thread; none waits for the network.
pub struct Front {
    shared: Arc<Shared>,
    tls: Arc<RwLock<Arc<rustls::ServerConfig>>>,
    runtime: Mutex<Option<Runtime>>,
    accepting: watch::Sender<bool>,
    limits: Limits,
}

impl std::fmt::Debug for Front {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Front").finish_non_exhaustive()
    }
}

impl Front {
    /// `wake` is called when `poll` has something after it had nothing; it must be quick.
    pub fn new(
        tls: &Tls,
        limits: Limits,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Front, Error> {
        let config = tls.config().map_err(Error::Tls)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(limits.threads.max(1))
            .thread_name("orlop-front")
            .enable_all()
            .build()?;
        let shared = Arc::new(Shared::new(Box::new(wake)));
        runtime.spawn(pace::run(Arc::clone(&shared)));
        Ok(Front {
            shared,
            tls: Arc::new(RwLock::new(Arc::new(config))),
            runtime: Mutex::new(Some(runtime)),
            accepting: watch::Sender::new(true),
            limits,
        })
    }

    /// Takes connections from `listener`, which is listening and non-blocking.
    pub fn listen(&self, listener: TcpListener) -> Result<(), Error> {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(runtime) = &*runtime else {
            return Ok(());
        };
        let _inside = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        runtime.spawn(listener::run(
            listener,
            Arc::clone(&self.shared),
            Arc::clone(&self.tls),
            self.limits,
            self.accepting.subscribe(),
        ));
        Ok(())
    }

    /// Connections that come from now on get these certificates and are checked against this authority.
    pub fn set_tls(&self, tls: &Tls) -> Result<(), Error> {
        let config = Arc::new(tls.config().map_err(Error::Tls)?);
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// What has come in since it was last called, in its order.
    pub fn poll(&self) -> Vec<Input> {
        self.shared.take()
    }

    /// Lets what was put into outboxes since it was last called go out.
    pub fn flush(&self) {
        self.shared.flush();
    }

    /// Takes no more connections. Those that are there go on.
    pub fn stop_accepting(&self) {
        self.accepting.send_replace(false);
    }

    /// Connections that wait for a request end, those that have one end after it.
    pub fn drain(&self) {
        self.stop_accepting();
        self.shared.drain();
    }

    /// Ends every connection at once.
    pub fn close(&self) {
        self.stop_accepting();
        let runtime = self
            .runtime
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.close();
    }
}
