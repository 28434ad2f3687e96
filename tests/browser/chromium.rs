//! A Chromium without a screen, driven through chromedriver.

use std::env;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fantoccini::actions::{InputSource as _, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use fantoccini::error::CmdError;
use fantoccini::wd::{WebDriverCompatibleCommand, WindowHandle};
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};
use url::{ParseError, Url};

/// A browser with a new profile; dropping it ends it and chromedriver.
pub struct Chromium {
    pub client: Client,
    _driver: Driver,
}

impl Chromium {
    pub async fn start() -> Self {
        Self::start_with(&json!({})).await
    }

    /// With these preferences in its profile.
    pub async fn start_with(preferences: &Value) -> Self {
        let driver = Driver::start().await;
        let binary = env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
        assert!(Path::new(&binary).is_file(), "{binary} is missing: install chromium, or name it in CHROMIUM");
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": {
                "binary": binary,
                "args": [
                    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                    "--disable-background-networking", "--disable-component-update", "--disable-sync",
                    "--disable-dev-shm-usage", "--window-size=1280,900",
                    format!("--user-data-dir={}", driver.profile.display()),
                ],
                "prefs": preferences,
            },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("written as an object above") };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .expect("chromedriver starts chromium");
        Self { client, _driver: driver }
    }

    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// Clicks on what the CSS selector finds first.
    pub async fn click(&self, css: &str) {
        self.find(Locator::Css(css)).await.click().await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// Presses twice in quick succession, as some people do everywhere.
    pub async fn double_click(&self, css: &str) {
        let element = self.find(Locator::Css(css)).await;
        let press = || PointerAction::Down { button: MOUSE_BUTTON_LEFT };
        let release = || PointerAction::Up { button: MOUSE_BUTTON_LEFT };
        let mouse = MouseActions::new("mouse".to_owned())
            .then(PointerAction::MoveToElement { element, duration: None, x: 0.0, y: 0.0 })
            .then(press())
            .then(release())
            .then(press())
            .then(release());
        self.client.perform_actions(mouse).await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// Clicks on the link with this text.
    pub async fn follow(&self, text: &str) {
        self.find(Locator::LinkText(text)).await.click().await.unwrap_or_else(|error| panic!("{text}: {error}"));
    }

    pub async fn write(&self, css: &str, text: &str) {
        let field = self.find(Locator::Css(css)).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    pub async fn text(&self, css: &str) -> String {
        self.find(Locator::Css(css)).await.text().await.unwrap()
    }

    /// Opens a tab of its own and goes on in it.
    pub async fn new_tab(&self) -> WindowHandle {
        let tab = self.client.new_window(true).await.unwrap().handle;
        self.switch(&tab).await;
        tab
    }

    pub async fn switch(&self, tab: &WindowHandle) {
        self.client.switch_to_window(tab.clone()).await.unwrap();
    }

    pub async fn url(&self) -> String {
        self.client.current_url().await.unwrap().to_string()
    }

    /// Waits until a page whose address begins so is loaded.
    pub async fn arrive(&self, start: &str) {
        self.wait_for(start, |url| url.starts_with(start)).await;
    }

    /// Waits until another page than this is loaded.
    pub async fn leave(&self, url: &str) {
        self.wait_for(&format!("anything but {url}"), |here| here != url).await;
    }

    /// Waits until the page of exactly this address is loaded.
    pub async fn land(&self, url: &str) {
        self.wait_for(url, |here| here == url).await;
    }

    /// Waits until this page is loaded and a script in it returns true.
    pub async fn settle(&self, url: &str, script: &str) {
        let begun = Instant::now();
        while self.url().await != url || self.run(script).await != true {
            assert!(begun.elapsed() < Duration::from_secs(15), "waiting for {script} at {}", self.url().await);
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn wait_for(&self, wanted: &str, is_there: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        loop {
            let (url, ready) = (self.url().await, self.run("return document.readyState").await);
            if is_there(&url) && ready == "complete" {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(15), "waiting for {wanted}, but this is {url} ({ready})");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The status that the page came with.
    pub async fn status(&self) -> u64 {
        let status = self.run("return performance.getEntriesByType('navigation')[0].responseStatus").await;
        status.as_u64().expect("a status")
    }

    /// Runs a script in the page.
    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// A command of the Chrome DevTools protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let command = json!({ "cmd": command, "params": parameters });
        self.issue("goog/cdp/execute", command).await.expect("chromedriver speaks the DevTools protocol")
    }

    /// What one of Chromium's logs holds since it was read last.
    pub async fn log(&self, kind: &str) -> Vec<Value> {
        let log = self.issue("se/log", json!({ "type": kind })).await.expect("chromedriver keeps logs");
        log.as_array().expect("a list of entries").clone()
    }

    /// The addresses of the documents asked for since this was called last, redirects included.
    pub async fn documents(&self) -> Vec<String> {
        let entries = self.log("performance").await;
        let request = |entry: &Value| {
            let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let message = &event["message"];
            let is_document =
                message["method"] == "Network.requestWillBeSent" && message["params"]["type"] == "Document";
            is_document.then(|| message["params"]["request"]["url"].as_str().map(str::to_owned))?
        };
        entries.iter().filter_map(request).collect()
    }

    async fn find(&self, search: Locator<'_>) -> fantoccini::elements::Element {
        match self.client.find(search).await {
            Ok(element) => element,
            Err(error) => panic!("{search:?} at {}: {error}", self.url().await),
        }
    }

    async fn issue(&self, path: &'static str, body: Value) -> Result<Value, CmdError> {
        self.client.issue_cmd(Vendor { path, body }).await
    }
}

/// A command outside the WebDriver standard.
#[derive(Debug)]
struct Vendor {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// A running chromedriver, and the profile of its one browser.
struct Driver {
    port: u16,
    profile: PathBuf,
    process: Child,
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Driver {
    /// The free port that chromedriver picks on IPv6 may be taken on IPv4, and then it ends.
    async fn start() -> Self {
        for _ in 0..5 {
            if let Some(driver) = Self::try_start().await {
                return driver;
            }
        }
        panic!("chromedriver ended five times before it said where it listens");
    }

    async fn try_start() -> Option<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("browser-{}-{number}", std::process::id()));
        let program = env::var("CHROMEDRIVER").unwrap_or_else(|_| "chromedriver".to_owned());
        let mut command = Command::new(&program);
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap_or_else(|error| {
            panic!("{program}: {error}: install chromium-driver, or name chromedriver in CHROMEDRIVER")
        });
        let mut lines = BufReader::new(process.stdout.take().expect("its output is piped")).lines();
        let port = timeout(Duration::from_secs(20), async {
            while let Some(line) = lines.next_line().await.expect("its output is text") {
                if let Some((_, port)) = line.split_once("started successfully on port ") {
                    return Some(port.trim_end_matches('.').parse().expect("a port"));
                }
            }
            None
        });
        let port = port.await.expect("chromedriver says where it listens within 20 s")?;
        Some(Self { port, profile, process, _stdout: lines })
    }

    /// Asks chromedriver to end its browser, which would outlive it otherwise.
    fn shut_down(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", self.port)?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Err(error) = self.shut_down() {
            eprintln!("chromedriver {:?} did not shut down: {error}", self.process.id());
        }
        let _ = fs::remove_dir_all(&self.profile);
    }
}
