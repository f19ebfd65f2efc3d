//! A cable between two processes that a test can pull out, slow down, or cut in a way that nobody notices.

use std::{
    fmt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::watch,
    time::sleep,
};

use crate::scratch::Scratch;

/// What a Postgres client looks for in the folder that it is told of.
const POSTGRES_SOCKET: &str = ".s.PGSQL.5432";

/// Carries bytes both ways, until told otherwise. Everybody who uses it thinks to talk to the other end.
pub struct Cable {
    state: watch::Sender<State>,
    here: String,
    // A socket has a folder of its own.
    _folder: Scratch,
}

#[derive(Clone, Copy, Debug)]
struct State {
    carries: bool,
    is_out: bool,
    /// So much later everything arrives.
    delay: Duration,
    /// Connections from before this many repairs carry nothing any more.
    age: u32,
}

/// Either kind of connection.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

#[derive(Clone)]
enum End {
    Port(String),
    Socket(PathBuf),
}

impl Cable {
    /// To a server at an `http://` URL.
    pub fn to_url(url: &str) -> Self {
        let address = url.strip_prefix("http://").expect("a plain URL").to_owned();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("ours");
        let here = format!("http://{}", listener.local_addr().expect("it is bound"));
        let accept = async move |state: watch::Sender<State>| {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, End::Port(address.clone()), &state);
            }
        };
        Self::new(here, Scratch::new(), accept)
    }

    /// To the database of this URL, which names the folder of its server's socket.
    pub fn to_database(url: &str) -> Self {
        let (rest, there) = url.split_once("?host=").expect("on a socket");
        let there = Path::new(there).join(POSTGRES_SOCKET);
        let folder = Scratch::new();
        let socket = folder.path().join(POSTGRES_SOCKET);
        let listener = std::os::unix::net::UnixListener::bind(socket).expect("a new folder");
        listener.set_nonblocking(true).expect("ours");
        let here = format!("{rest}?host={}", folder.path().display());
        let accept = async move |state: watch::Sender<State>| {
            let listener = UnixListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, End::Socket(there.clone()), &state);
            }
        };
        Self::new(here, folder, accept)
    }

    fn new<F>(here: String, folder: Scratch, accept: F) -> Self
    where
        F: AsyncFnOnce(watch::Sender<State>) + Send + 'static,
    {
        let state = watch::Sender::new(State {
            carries: true,
            is_out: false,
            delay: Duration::ZERO,
            age: 0,
        });
        let (shared, mut until) = (state.clone(), state.subscribe());
        // A thread of its own: tests block theirs while a process starts that talks through the cable.
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                tokio::select! {
                    () = accept(shared) => {}
                    // The age that nothing reaches is the end.
                    _ = until.wait_for(|state| state.age == u32::MAX) => {}
                }
            });
        });
        Self { state, here, _folder: folder }
    }

    /// What to tell the client instead of the server's URL.
    pub fn url(&self) -> &str {
        &self.here
    }

    /// From now on nothing arrives, and nobody is told: connections stay open, new ones are accepted.
    pub fn lose_everything(&self) {
        self.state.send_modify(|state| state.carries = false);
    }

    /// Closes every connection, and each new one at once.
    pub fn pull_out(&self) {
        self.state.send_modify(|state| state.is_out = true);
    }

    /// From now on everything arrives so much later, either way.
    pub fn slow_down(&self, delay: Duration) {
        self.state.send_modify(|state| state.delay = delay);
    }

    /// It carries again, at once; what was held back arrives.
    pub fn mend(&self) {
        self.state.send_modify(|state| {
            *state = State { carries: true, is_out: false, delay: Duration::ZERO, ..*state };
        });
    }

    /// New connections are carried; those from before stay open and carry nothing for ever, as after a
    /// firewall that has forgotten them.
    pub fn mend_for_new_connections(&self) {
        self.state.send_modify(|state| {
            *state =
                State { carries: true, is_out: false, delay: Duration::ZERO, age: state.age + 1 };
        });
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.state.send_modify(|state| state.age = u32::MAX);
    }
}

impl fmt::Debug for Cable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a cable at {}", self.here)
    }
}

/// One connection, until either side or the test ends it.
fn serve(stream: impl Stream + 'static, there: End, state: &watch::Sender<State>) {
    let born = state.borrow().age;
    let (mut open, mut is_out) = (state.subscribe(), state.subscribe());
    tokio::spawn(async move {
        let carried = async {
            until_carried(&mut open, born).await;
            let other: Box<dyn Stream> = match there {
                End::Port(address) => Box::new(TcpStream::connect(address).await?),
                End::Socket(path) => Box::new(UnixStream::connect(path).await?),
            };
            let ((from, to), (from_other, to_other)) = (split(stream), split(other));
            let back = open.clone();
            // Whoever ends it first ends both ways: no protocol here closes one half alone.
            tokio::select! {
                ended = pump(from, to_other, open, born) => ended,
                ended = pump(from_other, to, back, born) => ended,
            }
        };
        tokio::select! {
            _ = carried => {}
            _ = is_out.wait_for(|state| state.is_out) => {}
        }
    });
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
    born: u32,
) -> std::io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut bytes).await?;
        // Also the end of a connection is something that gets lost.
        until_carried(&mut state, born).await;
        let delay = state.borrow().delay;
        if !delay.is_zero() {
            sleep(delay).await;
        }
        if count == 0 {
            return Ok(());
        }
        to.write_all(&bytes[..count]).await?;
        to.flush().await?;
    }
}

async fn until_carried(state: &mut watch::Receiver<State>, born: u32) {
    let carried = state.wait_for(|state| state.carries && state.age == born).await;
    drop(carried.expect("the cable is there"));
}
