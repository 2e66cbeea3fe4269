//! A headless Chromium, driven by the DevTools protocol over a pair of pipes: JSON messages, each with a NUL behind it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

/// Measures nothing: only ends what hangs.
const WATCHDOG: Duration = Duration::from_secs(120);

pub(crate) struct Page {
    browser: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: String,
    last_id: u64,
    events: VecDeque<Value>,
    _profile: tempfile::TempDir,
}

impl Page {
    pub(crate) fn open() -> Page {
        let profile = tempfile::tempdir().unwrap();
        // The browser reads commands from its descriptor 3 and answers on 4. Its sandbox needs rights that a container's
        // root has not, and nothing but this project's own page is opened.
        let chromium = std::env::var("HEAPSITE_CHROMIUM").unwrap_or_else(|_| "chromium".into());
        let mut browser = Command::new("sh")
            .args([
                "-c",
                r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#,
                &chromium,
            ])
            .args([
                "--headless=new",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--disable-gpu",
            ])
            .args([
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
            ])
            .args([
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
                "--no-proxy-server",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = browser.stdin.take().unwrap();
        let answers = BufReader::new(browser.stdout.take().unwrap());
        let (tell, from) = channel();
        std::thread::spawn(move || {
            for message in answers.split(0) {
                let Ok(message) = message else { return };
                let message = serde_json::from_slice(&message).unwrap();
                if tell.send(message).is_err() {
                    return;
                }
            }
        });
        let mut page = Page {
            browser,
            to,
            from,
            session: String::new(),
            last_id: 0,
            events: VecDeque::new(),
            _profile: profile,
        };
        let target = page.send("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = page.send(
            "Target.attachToTarget",
            json!({ "targetId": target["targetId"], "flatten": true }),
        );
        page.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.send(&format!("{domain}.enable"), json!({}));
        }
        page
    }

    pub(crate) fn send(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": params });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        self.to.write_all(message.to_string().as_bytes()).unwrap();
        self.to.write_all(&[0]).unwrap();
        loop {
            let mut answer = self
                .from
                .recv_timeout(WATCHDOG)
                .expect("the browser answers");
            if answer["id"] == self.last_id {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
            if answer["id"].is_null() {
                self.events.push_back(answer);
            }
        }
    }

    pub(crate) fn goto(&mut self, url: &str) {
        self.send("Page.navigate", json!({ "url": url }));
    }

    pub(crate) fn screen(&mut self, width: u32, height: u32, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        self.send(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 }),
        );
        self.send(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        );
    }

    /// The value of an expression; promises are waited for.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let params =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.send("Runtime.evaluate", params);
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].take()
    }

    pub(crate) fn text(&mut self, selector: &str) -> String {
        let expression = format!("document.querySelector({selector:?})?.textContent ?? ''");
        self.value(&expression).as_str().unwrap().to_owned()
    }

    /// Waits until the expression is true, as long as the page moves on at all.
    pub(crate) fn until(&mut self, expression: &str) {
        let params = json!({ "expression": format!("!!({expression})"), "returnByValue": true });
        for _ in 0..2400 {
            // An exception is not true: between two documents nothing is there.
            if self.send("Runtime.evaluate", params.clone())["result"]["value"] == true {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let page = self.value("document.body.innerText");
        let mut complaints = self.complaints();
        complaints.truncate(5);
        panic!("never: {expression}\n{page}\n{complaints:?}");
    }

    pub(crate) fn mouse(&mut self, kind: &str, x: f64, y: f64) {
        let params = json!({ "type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1 });
        self.send("Input.dispatchMouseEvent", params);
    }

    pub(crate) fn key(&mut self, name: &str) {
        for kind in ["keyDown", "keyUp"] {
            self.send(
                "Input.dispatchKeyEvent",
                json!({ "type": kind, "key": name, "code": name }),
            );
        }
    }

    pub(crate) fn type_text(&mut self, text: &str) {
        self.send("Input.insertText", json!({ "text": text }));
    }

    /// Errors, warnings and violations of the policy that the page has met so far.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        self.value("0"); // whatever has happened has been told before the answer
        let bad = |event: &&Value| match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => true,
            "Runtime.consoleAPICalled" => event["params"]["type"] != "log",
            "Log.entryAdded" => event["params"]["entry"]["level"] != "verbose",
            _ => false,
        };
        self.events
            .iter()
            .filter(bad)
            .map(Value::to_string)
            .collect()
    }

    /// Every address that was asked for.
    pub(crate) fn requests(&mut self) -> Vec<String> {
        self.value("0");
        let mut all = Vec::new();
        for event in &self.events {
            if event["method"] == "Network.requestWillBeSent" {
                all.push(
                    event["params"]["request"]["url"]
                        .as_str()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
        all
    }

    pub(crate) fn forget(&mut self) {
        self.value("0");
        self.events.clear();
    }

    /// For people to look at, in the folder `HEAPSITE_SCREENSHOTS`, if there is one.
    pub(crate) fn screenshot(&mut self, name: &str, whole: bool) {
        let Some(folder) = std::env::var_os("HEAPSITE_SCREENSHOTS") else {
            return;
        };
        let params = json!({ "format": "png", "captureBeyondViewport": whole });
        let answer = self.send("Page.captureScreenshot", params);
        let picture = decode(answer["data"].as_str().unwrap());
        let path = std::path::Path::new(&folder).join(format!("{name}.png"));
        std::fs::write(path, picture).unwrap();
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}

/// Base64 (RFC 4648).
fn decode(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::new());
    for byte in text.bytes().take_while(|&byte| byte != b'=') {
        bits = bits << 6 | u32::from(digit(byte));
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}
