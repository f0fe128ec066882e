//! An emulated provider behind HTTP that writes down which process called for which account, and holds a call on demand.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use consentd::clock::{Clock, SystemClock, Timestamp};
use consentd_provider::emulator::{Call, EmulatedProvider, Reply};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long this provider thinks before it answers; long enough for two callers to meet.
const THINKS: Duration = Duration::from_millis(20);

/// The longest that a test waits for something to happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// One call, as the provider saw it.
#[derive(Debug, Clone)]
pub struct Heard {
    pub pid: u32,
    pub what: String,
    pub began: Timestamp,
    pub ended: Option<Timestamp>,
    /// It was kept waiting, while something happened to its caller.
    pub held: bool,
}

impl Heard {
    fn writes(&self) -> bool {
        !self.what.starts_with("GET ")
    }
}

/// Whose next writing call is held; `let_go` lets it pass.
#[derive(Default, Clone)]
struct Hold {
    pid: Option<u32>,
    let_go: bool,
}

#[derive(Clone)]
pub struct Front {
    /// Without a path.
    pub url: String,
    pub provider: Arc<Mutex<EmulatedProvider>>,
    heard: Arc<watch::Sender<Vec<Heard>>>,
    hold: Arc<watch::Sender<Hold>>,
    /// Processes that may call.
    callers: Arc<Mutex<Vec<u32>>>,
}

impl Front {
    pub async fn open(provider: &str) -> Self {
        let emulator = consentd::registry::emulator(provider).expect("an emulator");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let front = Self {
            url: format!("http://{}", listener.local_addr().expect("an address")),
            provider: Arc::new(Mutex::new(EmulatedProvider::new(emulator))),
            heard: Arc::new(watch::channel(Vec::new()).0),
            hold: Arc::new(watch::channel(Hold::default()).0),
            callers: Arc::default(),
        };
        let routes = Router::new().fallback(answer).with_state(front.clone());
        let service = routes.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await.expect("it serves") });
        front
    }

    /// Calls of that process are written down from now on.
    pub fn admit(&self, pid: u32) {
        self.callers.lock().unwrap().push(pid);
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.heard.borrow().clone()
    }

    /// Who called last.
    pub fn owner(&self) -> u32 {
        self.heard.borrow().last().expect("somebody called").pid
    }

    pub fn mailable(&self, list: &str) -> Vec<String> {
        let mut all = self.provider.lock().unwrap().mailable(SystemClock.now(), list);
        all.sort();
        all
    }

    /// The next writing call of that process is held, until it is let go.
    pub fn hold(&self, pid: u32) {
        self.hold.send_replace(Hold { pid: Some(pid), let_go: false });
    }

    pub fn let_go(&self) {
        self.hold.send_replace(Hold { pid: None, let_go: true });
    }

    /// Waits, call by call, until it is so.
    pub async fn until(&self, what: &str, mut so: impl FnMut(&Self) -> bool) {
        let mut calls = self.heard.subscribe();
        let wait = async {
            while !so(self) {
                calls.changed().await.expect("the front is open");
            }
        };
        assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{what}: {:#?}", self.heard());
    }

    /// A call of that process is held now.
    pub async fn until_held(&self, pid: u32) {
        let held = |call: &Heard| call.held && call.pid == pid && call.ended.is_none();
        self.until("nobody calls", |front| front.heard.borrow().iter().any(held)).await;
    }

    /// Calls of different processes never met, but for those whose caller was stopped in the middle.
    pub fn assert_one_caller_at_a_time(&self) {
        let heard = self.heard();
        for (index, one) in heard.iter().enumerate().filter(|(_, call)| !call.held) {
            let later = heard.iter().skip(index + 1).filter(|call| !call.held && call.pid != one.pid);
            for other in later {
                assert!(one.ended.is_some_and(|end| end <= other.began), "{one:?} and {other:?} at once");
            }
        }
    }
}

async fn answer(
    State(front): State<Front>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 16 << 20).await.expect("a whole call").to_vec();
    let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("").to_owned()));
    let call = Call {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: headers.collect(),
        body,
    };
    let callers = front.callers.lock().unwrap().clone();
    let index = who(peer.port(), &callers).map(|pid| {
        let what = format!("{} {}", call.method, call.path);
        let heard = Heard { pid, what, began: SystemClock.now(), ended: None, held: false };
        let held = heard.writes() && front.hold.borrow().pid == Some(pid);
        let mut index = 0;
        front.heard.send_modify(|all| {
            index = all.len();
            all.push(Heard { held, ..heard });
        });
        (index, held)
    });
    if let Some((_, true)) = index {
        drop(front.hold.subscribe().wait_for(|hold| hold.let_go).await);
    }
    SystemClock.sleep(THINKS).await;
    let reply = front.provider.lock().unwrap().call(SystemClock.now(), call);
    if let Some((index, _)) = index {
        front.heard.send_modify(|all| all[index].ended = Some(SystemClock.now()));
    }
    let Reply::Answer(answer) = reply else { panic!("no fault was asked for") };
    let mut response = (StatusCode::from_u16(answer.status).expect("a status"), answer.body).into_response();
    for (name, value) in answer.headers {
        let name: axum::http::HeaderName = name.parse().expect("a header");
        response.headers_mut().insert(name, value.parse().expect("a value"));
    }
    response
}

/// Which of these processes has the other end of a connection, by the kernel's own account.
fn who(port: u16, callers: &[u32]) -> Option<u32> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let local = format!("0100007F:{port:04X}");
    let inode = table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (fields.get(1) == Some(&&*local)).then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    })?;
    let socket = format!("socket:[{inode}]");
    callers.iter().copied().find(|pid| {
        let files = std::fs::read_dir(format!("/proc/{pid}/fd"));
        files.is_ok_and(|files| {
            files
                .flatten()
                .any(|file| std::fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == socket.as_str()))
        })
    })
}
