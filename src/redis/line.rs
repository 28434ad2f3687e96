//! The connection to one server: made when it is needed first, shared by all, and made anew when it breaks.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisError, ServerErrorKind, Value, cmd};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::address::Address;
use super::trouble::Trouble;
use crate::sync::{Mutex, PoisonError};

/// As whom to speak to servers, and for how long.
pub(super) struct Settings {
    /// It holds user and password.
    pub(super) handshake: RedisConnectionInfo,
    pub(super) tls: Option<TlsConnector>,
    pub(super) time_limit: Duration,
    /// On how many replicas a step must be before it counts.
    pub(super) replicas: u32,
}

pub(super) struct Line {
    address: Address,
    settings: Arc<Settings>,
    live: Mutex<Option<Arc<Live>>>,
    /// Held by the one who connects.
    attempts: tokio::sync::Mutex<Attempts>,
}

/// How many commands wait to be written before the next one has to.
const WAITING: usize = 1024;

/// A connection that was not used for so long is asked whether it is still there: what lies between may have forgotten it, and a
/// step is not sent twice.
const IDLE: Duration = Duration::from_secs(15);

impl Line {
    pub(super) fn new(address: Address, settings: Arc<Settings>) -> Self {
        Self { address, settings, live: Mutex::new(None), attempts: tokio::sync::Mutex::default() }
    }

    /// The answers to these commands, errors among them. Nothing is sent a second time.
    pub(super) async fn send(&self, commands: &Pipeline, deadline: Instant) -> Result<Vec<Value>, Trouble> {
        let live = self.live(deadline).await?;
        let answers = self.answered(&live, timeout_at(deadline, live.send(commands)).await)?;
        if answers.iter().any(is_of_a_replica) {
            self.let_go(&live);
        }
        Ok(answers)
    }

    /// The same of one command.
    pub(super) async fn send_one(&self, command: &Cmd, deadline: Instant) -> Result<Value, Trouble> {
        let live = self.live(deadline).await?;
        let answer = self.answered(&live, timeout_at(deadline, live.send_one(command)).await)?;
        if is_of_a_replica(&answer) {
            self.let_go(&live);
        }
        Ok(answer)
    }

    fn answered<T>(&self, live: &Arc<Live>, answered: Result<Result<T, RedisError>, Elapsed>) -> Result<T, Trouble> {
        let trouble = match answered {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Trouble::of(&self.address, &error),
            Err(_) => Trouble::late(&self.address),
        };
        self.let_go(live);
        Err(trouble)
    }

    async fn live(&self, deadline: Instant) -> Result<Arc<Live>, Trouble> {
        if let Some(live) = self.current() {
            if live.used.elapsed() < IDLE || self.is_there(&live, deadline).await {
                return Ok(live);
            }
            self.let_go(&live);
        }
        let late = |_| Trouble::late(&self.address);
        let mut attempts = timeout_at(deadline, self.attempts.lock()).await.map_err(late)?;
        // Who held the lock before may have made one.
        if let Some(live) = self.current() {
            return Ok(live);
        }
        attempts.may_try()?;
        let connected = timeout_at(deadline, self.connect()).await.unwrap_or_else(|elapsed| Err(late(elapsed)));
        match connected {
            Ok(live) => {
                *attempts = Attempts::default();
                let live = Arc::new(live);
                *self.live.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&live));
                Ok(live)
            }
            Err(trouble) => {
                attempts.failed(trouble.clone());
                Err(trouble)
            }
        }
    }

    async fn is_there(&self, live: &Live, deadline: Instant) -> bool {
        let a_part = deadline.min(Instant::now() + self.settings.time_limit / 4);
        matches!(timeout_at(a_part, live.ask_whether_it_is_there()).await, Ok(Ok(())))
    }

    fn current(&self) -> Option<Arc<Live>> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.clone().filter(|live| !live.driver.is_finished())
    }

    /// The next one connects anew; who still waits for an answer on this connection may get it.
    fn let_go(&self, broken: &Arc<Live>) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if live.as_ref().is_some_and(|live| Arc::ptr_eq(live, broken)) {
            *live = None;
        }
    }

    async fn connect(&self) -> Result<Live, Trouble> {
        let stream = TcpStream::connect((self.address.host.as_str(), self.address.port)).await;
        let failed = |error: io::Error| Trouble::unreachable(&self.address, error);
        let stream = stream.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let live = match &self.settings.tls {
            None => self.shake_hands(stream).await,
            Some(tls) => {
                let name = ServerName::try_from(self.address.host.clone());
                let name = name.map_err(|error| Trouble::unreachable(&self.address, error))?;
                self.shake_hands(tls.connect(name, stream).await.map_err(failed)?).await
            }
        };
        let live = live.map_err(|error| Trouble::of(&self.address, &error))?;
        // What lies between may accept every connection and close it at once. Whatever is answered, somebody is there.
        live.ask_whether_it_is_there().await.map_err(|error| Trouble::of(&self.address, &error))?;
        Ok(live)
    }

    async fn shake_hands(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Live, RedisError> {
        // Time limits are ours: the library's would leave a connection in place that nothing comes through.
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(WAITING);
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&self.settings.handshake, stream, config).await?;
        Ok(Live { connection, driver: tokio::spawn(driver), used: Used::now() })
    }
}

/// A connection, and the task that reads and writes. Dropping it ends both.
struct Live {
    connection: MultiplexedConnection,
    driver: JoinHandle<()>,
    used: Used,
}

impl Live {
    async fn send(&self, commands: &Pipeline) -> Result<Vec<Value>, RedisError> {
        let answers = self.connection.clone().send_packed_commands(commands, 0, commands.len()).await?;
        self.used.set_now();
        Ok(answers)
    }

    async fn send_one(&self, command: &Cmd) -> Result<Value, RedisError> {
        let answer = self.connection.clone().send_packed_command(command).await?;
        self.used.set_now();
        Ok(answer)
    }

    async fn ask_whether_it_is_there(&self) -> Result<(), RedisError> {
        self.send_one(&cmd("PING")).await.map(drop)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// When something was used last.
struct Used(Mutex<Instant>);

impl Used {
    fn now() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    fn set_now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn elapsed(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

/// The attempts to connect that failed since the last that did not.
#[derive(Default)]
struct Attempts {
    last: Option<(Instant, Trouble)>,
    pause: Duration,
}

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

impl Attempts {
    /// Who comes too soon after a failure is told of that one.
    fn may_try(&self) -> Result<(), Trouble> {
        match &self.last {
            Some((at, trouble)) if at.elapsed() < self.pause => Err(trouble.clone()),
            _ => Ok(()),
        }
    }

    fn failed(&mut self, trouble: Trouble) {
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.last = Some((Instant::now(), trouble));
    }
}

/// A master that was made a replica: another server has its name by now.
fn is_of_a_replica(answer: &Value) -> bool {
    let Value::ServerError(error) = answer else { return false };
    matches!(error.kind(), Some(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown))
}
