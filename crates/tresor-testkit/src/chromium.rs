//! A real browser without a window, as a process: its pages are opened, looked at, typed into and photographed.
//!
//! It is spoken to over two pipes in the DevTools protocol: JSON with a zero byte behind each message. So a test needs
//! the browser and nothing else, no driver and no package. Keys and clicks are the browser's own events, as a person's
//! are. Whatever a page complains of, an error of a script or a breach of its policy, is kept for the test to ask.

use std::{
    fs,
    io::{Read, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use base64::Engine as _;
use rustix::event::{PollFd, PollFlags, poll};
use serde_json::{Value, json};

use crate::{
    TemporaryDirectory,
    deadline::{self, PATIENCE},
    programs,
};

/// What keeps it from asking anybody but the server under test. Without its own sandbox, which root may not have; what
/// it opens is ours.
const ARGUMENTS: [&str; 13] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
];

/// A running browser; ended when dropped.
pub struct Chromium {
    child: Child,
    requests: Option<ChildStdin>,
    answers: ChildStdout,
    /// Read, and not yet cut into messages.
    buffer: Vec<u8>,
    last_id: u64,
    complaints: Vec<String>,
    _profile: TemporaryDirectory,
}

impl Chromium {
    /// Starts the browser, or `None` after saying that the running test is left out.
    pub fn wish_for() -> Option<Self> {
        Some(Self::start(&programs::wish_for("chromium")?))
    }

    /// Starts the browser that lies there. Panics when it does not answer.
    pub fn start(program: &Path) -> Self {
        let profile = TemporaryDirectory::new("chromium");
        // It reads requests from its descriptor 3 and answers on 4.
        let mut command = Command::new("sh");
        command
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null"])
            .arg(program)
            .args(ARGUMENTS);
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the browser starts");
        let requests = child.stdin.take();
        let answers = child.stdout.take().expect("it is piped");
        let (buffer, complaints) = (Vec::new(), Vec::new());
        let mut started =
            Self { child, requests, answers, buffer, last_id: 0, complaints, _profile: profile };
        started.ask(None, "Browser.getVersion", json!({}));
        started
    }

    /// A new page of this size, in pixels, with light or dark colours.
    pub fn page(&mut self, (width, height): (u32, u32), is_dark: bool) -> Page<'_> {
        let target = self.ask(None, "Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session =
            self.ask(None, "Target.attachToTarget", attach)["sessionId"].as_str().map(str::to_owned);
        let mut page = Page { browser: self, session: session.expect("it is attached to") };
        for domain in ["Page", "Runtime", "Log"] {
            page.ask(&format!("{domain}.enable"), json!({}));
        }
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        page.ask("Emulation.setDeviceMetricsOverride", size);
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        page.ask("Emulation.setEmulatedMedia", json!({ "features": features }));
        page
    }

    /// Sends a request, to a page or to the browser, and waits for its answer.
    #[track_caller]
    fn ask(&mut self, session: Option<&str>, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let mut request = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = session {
            request["sessionId"] = session.into();
        }
        let bytes = [request.to_string().as_bytes(), b"\0"].concat();
        let requests = self.requests.as_mut().expect("it is running");
        requests.write_all(&bytes).expect("the browser takes requests");
        let started = Instant::now();
        loop {
            let message = self.next_message(started, method);
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    /// Keeps what a page complains of.
    fn note(&mut self, message: &Value) {
        let parameters = &message["params"];
        match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => {
                let details = &parameters["exceptionDetails"];
                self.complaints.push(format!("{} {}", details["text"], details["exception"]["description"]));
            }
            Some("Runtime.consoleAPICalled") if parameters["type"] == "error" => {
                self.complaints.push(parameters["args"].to_string());
            }
            // Answers that say no are the page's to deal with.
            Some("Log.entryAdded")
                if parameters["entry"]["level"] == "error" && parameters["entry"]["source"] != "network" =>
            {
                self.complaints.push(parameters["entry"]["text"].to_string());
            }
            _ => {}
        }
    }

    #[track_caller]
    fn next_message(&mut self, started: Instant, what: &str) -> Value {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == 0) {
                let rest = self.buffer.split_off(end + 1);
                let message = std::mem::replace(&mut self.buffer, rest);
                return serde_json::from_slice(&message[..end]).expect("the browser speaks JSON");
            }
            let left = PATIENCE.checked_sub(started.elapsed()).expect("the browser answers in time");
            let mut waited = [PollFd::new(&self.answers, PollFlags::IN)];
            let wait = left.min(Duration::from_secs(1)).try_into().expect("a second is a time");
            let ready = poll(&mut waited, Some(&wait)).expect("a pipe can be polled");
            if ready > 0 {
                let mut piece = [0; 64 * 1024];
                let read = self.answers.read(&mut piece).expect("a pipe can be read");
                assert!(read > 0, "the browser has ended, asked for {what}");
                self.buffer.extend_from_slice(&piece[..read]);
            }
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // At the end of its input it ends, and all that it has started with it.
        self.requests = None;
        if std::thread::panicking() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        } else {
            deadline::wait_for("the browser to end", || self.child.try_wait().ok().flatten());
        }
    }
}

/// A page of a browser.
pub struct Page<'b> {
    browser: &'b mut Chromium,
    session: String,
}

impl Page<'_> {
    #[track_caller]
    fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.browser.ask(Some(&self.session), method, parameters)
    }

    /// Runs a script at the beginning of each document that the page loads from here on.
    #[track_caller]
    pub fn at_each_beginning(&mut self, script: &str) {
        self.ask("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script }));
    }

    /// Goes to an address, or to it again.
    #[track_caller]
    pub fn open(&mut self, address: &str) {
        let answer = self.ask("Page.navigate", json!({ "url": address }));
        assert!(answer["errorText"].is_null(), "{address}: {}", answer["errorText"]);
    }

    /// What an expression in JavaScript is worth, awaited if it is a promise.
    #[track_caller]
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.ask("Runtime.evaluate", parameters);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn wait(&mut self, expression: &str) {
        let started = Instant::now();
        // While a page is being loaded there may be nothing that an expression looks at.
        let guarded = format!("(() => {{ try {{ return !!({expression}); }} catch {{ return false; }} }})()");
        while self.evaluate(&guarded) != true {
            if started.elapsed() > PATIENCE {
                let seen = self.evaluate("document.body.innerText");
                panic!(
                    "waited in vain for {expression}; the page says {seen}, complains of {:?}",
                    self.complaints()
                );
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// The text of the first element that a selector finds, as people see it.
    #[track_caller]
    pub fn text(&mut self, selector: &str) -> String {
        let shown = self.evaluate(&format!("document.querySelector({}).innerText", json!(selector)));
        shown.as_str().unwrap_or_default().to_owned()
    }

    /// The value of a field.
    #[track_caller]
    pub fn value(&mut self, selector: &str) -> String {
        let value = self.evaluate(&format!("document.querySelector({}).value", json!(selector)));
        value.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an element is shown and its text contains some text.
    #[track_caller]
    pub fn says(&mut self, selector: &str, text: &str) {
        let find = format!("document.querySelector({})", json!(selector));
        self.wait(&format!("{find}.checkVisibility() && {find}.innerText.includes({})", json!(text)));
    }

    /// Chooses in a list, as a person does.
    #[track_caller]
    pub fn choose(&mut self, selector: &str, value: &str) {
        self.evaluate(&format!(
            "((list) => {{ list.value = {}; list.dispatchEvent(new Event('change')); }})(document.querySelector({}))",
            json!(value),
            json!(selector)
        ));
    }

    /// Presses and releases the mouse in the middle of the first element that a selector finds.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let find = format!("document.querySelector({})", json!(selector));
        self.wait(&format!("{find}.getClientRects().length > 0 && !{find}.disabled"));
        let middle = self.evaluate(&format!(
            "{find}.scrollIntoView({{ block: 'nearest' }}), (({{ x, y, width, height }}) => \
             [x + Math.min(width, 200) / 2, y + height / 2])({find}.getBoundingClientRect())"
        ));
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let event = json!({
                "type": kind, "x": middle[0], "y": middle[1], "button": button, "clickCount": 1,
            });
            self.ask("Input.dispatchMouseEvent", event);
        }
    }

    /// Presses a key, named as in JavaScript, with `Control+` or `Shift+` before it where that is held down.
    #[track_caller]
    pub fn press(&mut self, key: &str) {
        let (modifiers, name) = match key.split_once('+') {
            Some(("Control", name)) => (2, name),
            Some(("Shift", name)) => (8, name),
            _ => (0, key),
        };
        let (code, text) = match name {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            " " => (32, " "),
            "PageUp" => (33, ""),
            "PageDown" => (34, ""),
            "End" => (35, ""),
            "Home" => (36, ""),
            "ArrowLeft" => (37, ""),
            "ArrowUp" => (38, ""),
            "ArrowRight" => (39, ""),
            "ArrowDown" => (40, ""),
            "/" => (191, "/"),
            other => {
                let letter = other.bytes().next().unwrap_or_default().to_ascii_uppercase();
                (u32::from(letter), other)
            }
        };
        let text = if modifiers == 2 { "" } else { text };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({
                "type": kind, "key": name, "windowsVirtualKeyCode": code, "modifiers": modifiers,
            });
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = text.into();
            }
            self.ask("Input.dispatchKeyEvent", event);
        }
    }

    /// Types a text where the cursor is, as an input method does.
    #[track_caller]
    pub fn type_text(&mut self, text: &str) {
        self.ask("Input.insertText", json!({ "text": text }));
    }

    /// Puts a text in place of what a field has.
    #[track_caller]
    pub fn fill(&mut self, selector: &str, text: &str) {
        self.click(selector);
        self.press("Control+a");
        self.evaluate("document.activeElement.select()");
        if text.is_empty() {
            self.evaluate("document.execCommand('delete')");
        } else {
            self.type_text(text);
        }
    }

    /// Writes a picture of what is seen, as PNG.
    #[track_caller]
    pub fn photograph(&mut self, file: &Path) {
        let answer = self.ask("Page.captureScreenshot", json!({ "format": "png" }));
        let picture = base64::engine::general_purpose::STANDARD
            .decode(answer["data"].as_str().unwrap_or_default())
            .expect("a picture in base64");
        fs::write(file, picture).expect("the picture can be written");
    }

    /// What scripts, and the browser about the page, have complained of until now.
    pub fn complaints(&mut self) -> Vec<String> {
        self.evaluate("0");
        self.browser.complaints.clone()
    }
}
