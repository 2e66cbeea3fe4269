//! A real Prometheus scrapes `/metrics`, and what `examples/monitoring` asks of it is there.

use std::collections::{BTreeSet, HashSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::server::{Server, curl, output, tool};

const MONITORING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/monitoring");

fn metrics(server: &Server, accept: &str) -> String {
    let accept = format!("Accept: {accept}");
    let answer = curl(&format!("{}/metrics", server.base), &["-H", &accept]);
    assert!(answer.head[0].contains(" 200 "), "{:?}", answer.head);
    String::from_utf8(answer.body).unwrap()
}

/// The names of all families, as a query calls them.
fn families(plain: &str) -> HashSet<&str> {
    plain
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect()
}

#[test]
#[ignore = "needs promtool: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn promtool_finds_nothing_to_complain_about() {
    let example = Server::example();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("metrics.txt");
    std::fs::write(&file, metrics(&example, "text/plain")).unwrap();
    let mut command = Command::new(tool("promtool"));
    command.args(["check", "metrics", "--extended"]);
    let said = output(command.stdin(std::fs::File::open(&file).unwrap()));
    assert!(said.contains("heapsite_live_bytes"), "{said}");
}

#[test]
#[ignore = "needs promtool: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn rules_are_valid_and_fire_when_they_should() {
    let promtool = |args: &[&str]| {
        let mut command = Command::new(tool("promtool"));
        output(command.args(args).current_dir(MONITORING))
    };
    assert!(promtool(&["check", "rules", "alerts.yml"]).contains("4 rules found"));
    promtool(&["test", "rules", "alerts_test.yml"]);
    promtool(&["check", "config", "prometheus.yml"]);
}

/// Every expression of the dashboard, its variables filled in.
fn dashboard_queries() -> BTreeSet<String> {
    let text = std::fs::read_to_string(Path::new(MONITORING).join("dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    targets
        .map(|target| {
            let query = target["expr"].as_str().unwrap();
            query.replace("$job", ".*").replace("$instance", ".*")
        })
        .collect()
}

#[test]
#[ignore = "needs the example http: ci/viewers.sh runs this"]
fn dashboard_and_rules_name_what_is_exported() {
    let example = Server::example();
    let plain = metrics(&example, "text/plain");
    let families = families(&plain);
    let name = regex::Regex::new("heapsite_[a-z_]+").unwrap();
    let files = ["alerts.yml", "dashboard.json"].map(|file| Path::new(MONITORING).join(file));
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut found = 0;
        for name in name.find_iter(&text) {
            // The example counts tasks only with the feature.
            if name.as_str().starts_with("heapsite_tasks") && cfg!(not(feature = "task")) {
                continue;
            }
            assert!(
                families.contains(name.as_str()),
                "{file:?}: {name:?} is not exported"
            );
            found += 1;
        }
        assert!(found > 3, "{file:?}");
    }
}

/// Scrapes it by OpenMetrics, as it does by default. Its own log says where it listens.
struct Prometheus {
    child: Child,
    url: String,
    _data: tempfile::TempDir,
}

impl Prometheus {
    fn of(target: &Server) -> Prometheus {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("prometheus.yml");
        let target = target.base.strip_prefix("http://").unwrap();
        let config = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: heapsite\n  static_configs: [{{targets: ['{target}']}}]\n"
        );
        std::fs::write(&file, config).unwrap();
        // It has no port 0: one that is free now will be free in a moment, or it ends and says so.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut child = Command::new(tool("prometheus"))
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = log.find(|line| line.as_ref().unwrap().contains("ready to receive"));
        assert!(ready.is_some(), "prometheus ended before it was ready");
        // Or it would wait for somebody to read.
        std::thread::spawn(move || log.for_each(drop));
        Prometheus {
            child,
            url: format!("http://{address}"),
            _data: data,
        }
    }

    /// What a query answers: one line per series.
    fn ask(&self, query: &str) -> Vec<String> {
        let mut command = Command::new(tool("promtool"));
        let said = output(command.args(["query", "instant", &self.url, query]));
        let lines = said.lines().filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    }

    /// Asks until there is an answer; CI's own limit ends it.
    fn ask_until(&self, query: &str) -> Vec<String> {
        loop {
            let said = self.ask(query);
            if !said.is_empty() {
                return said;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs Prometheus: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn prometheus_scrapes_and_answers() {
    let example = Server::example();
    let prometheus = Prometheus::of(&example);
    // The leak grows by 640 KiB a second; two scrapes make a rate.
    let grows = prometheus
        .ask_until("deriv(heapsite_function_live_bytes{function=\"http::leak\"}[10s]) > 0");
    assert_eq!(grows.len(), 1, "{grows:?}");
    assert_eq!(prometheus.ask_until("up == 1").len(), 1);
    prometheus.ask_until("rate(heapsite_allocated_bytes_total[10s]) > 0");
    // Both are of one scrape: the parts are the whole.
    let differing = "sum without (part) (heapsite_resident_part_bytes) != heapsite_resident_bytes";
    assert_eq!(prometheus.ask(differing), Vec::<String>::new());
    right_numbers(&example, &prometheus);
    // It asked for OpenMetrics, and got counters and units as such.
    let open = metrics(&example, "application/openmetrics-text;version=1.0.0");
    assert!(open.ends_with("# EOF\n"));
    let metadata = curl(
        &format!(
            "{}/api/v1/metadata?metric=heapsite_live_bytes",
            prometheus.url
        ),
        &[],
    );
    let metadata = String::from_utf8(metadata.body).unwrap();
    assert!(metadata.contains("\"unit\":\"bytes\""), "{metadata}");
    // Every query of the dashboard is understood; what looks back for hours has no answer yet.
    for query in dashboard_queries() {
        prometheus.ask(&query);
    }
}

/// The number in a line of `promtool query`: `name{labels} => 4096 @[1700000000.123]`.
fn number(answer: &[String]) -> f64 {
    let [line] = answer else {
        panic!("one series, not {answer:?}")
    };
    let rest = line.split_once("} => ").unwrap().1;
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// What Prometheus answers is what the service said.
fn right_numbers(example: &Server, prometheus: &Prometheus) {
    assert_eq!(
        number(&prometheus.ask_until("heapsite_sample_interval_bytes")),
        4096.0
    );
    // It only grows, so a number that came between two others lies between them.
    let leaked = || -> f64 {
        let plain = metrics(example, "text/plain");
        let series = "heapsite_function_live_bytes{function=\"http::leak\",file=\"http.rs\"} ";
        let line = plain.lines().find_map(|line| line.strip_prefix(series));
        line.unwrap_or_else(|| panic!("{plain}")).parse().unwrap()
    };
    let before = leaked();
    let query = format!("heapsite_function_live_bytes{{function=\"http::leak\"}} >= {before}");
    let answer = number(&prometheus.ask_until(&query));
    let after = leaked();
    assert!(
        (before..=after).contains(&answer),
        "{before}, {answer}, {after}"
    );
    assert!(before >= f64::from(64 << 10), "in bytes");
}
