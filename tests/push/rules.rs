//! What Grafana Pyroscope checks of a request to `/ingest`, in its own order and with its own limits, as far as its
//! sources tell (grafana/pyroscope, releases 1.5 to 2.x): it cannot be installed here.
//!
//! | rule | source |
//! |---|---|
//! | `name`, `from`, `until`, `format`, multipart | `pkg/ingester/pyroscope/ingest_handler.go`, `pkg/og/convert/pprof/profile.go` |
//! | `name=app{label=value}` | `api/model/labelset/{labelset,validate}.go` |
//! | times | `pkg/og/util/attime/attime.go` |
//! | labels of the series, the profile, the ingestion window | `pkg/validation/validate.go` |
//! | limits | `pkg/validation/limits.go` |
//! | rate and burst of a tenant | `pkg/distributor/distributor.go` |
//! | tenants | `X-Scope-OrgID`, grafana/dskit `tenant/tenant.go` |
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use heapsite::Profile;

use crate::walker::{Value, all, fields, number, numbers, unpack};

/// The limits of a server as it is installed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) label_name_bytes: usize,
    pub(crate) label_value_bytes: usize,
    pub(crate) labels: usize,
    pub(crate) profile_bytes: usize,
    pub(crate) samples: usize,
    pub(crate) sample_labels: usize,
    /// `distributor.ingestion-burst-size-mb`
    pub(crate) burst_bytes: usize,
    pub(crate) reject_newer_seconds: i64,
    pub(crate) reject_older_seconds: i64,
}

pub(crate) const DEFAULT: Limits = Limits {
    label_name_bytes: 1024,
    label_value_bytes: 2048,
    labels: 30,
    profile_bytes: 4 << 20,
    samples: 16_000,
    sample_labels: 100,
    burst_bytes: 2 << 20,
    reject_newer_seconds: 600,
    reject_older_seconds: 3600,
};

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Decoded.
    pub(crate) query: Vec<(String, String)>,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Empty: there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    /// The first of a name, as Go's `Query().Get`.
    pub(crate) fn get(&self, name: &str) -> &str {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }
}

/// What the server keeps of it.
#[derive(Clone, Debug)]
pub(crate) struct Ingested {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) profile: Profile,
    pub(crate) body: Vec<u8>,
}

/// A refusal: status and text.
pub(crate) type Refusal = (u16, String);

/// `now`: seconds since the Unix epoch.
pub(crate) fn ingest(request: &Request, limits: &Limits, now: i64) -> Result<Ingested, Refusal> {
    if request.path != "/ingest" {
        return Err((404, "404 page not found".into()));
    }
    if request.method != "POST" {
        return Err((405, "method not allowed".into()));
    }
    let (service, own) =
        parse_name(request.get("name")).map_err(|why| (400, format!("name: {why}")))?;
    let (from, _until) = (
        time(request.get("from"), now)?,
        time(request.get("until"), now)?,
    );
    let unprocessable = |why: String| (422, format!("parsing IngestInput-pprof failed {why}"));
    let raw = pprof_of(request).map_err(unprocessable)?;
    let plain = match raw.starts_with(&[0x1f, 0x8b]) {
        true => unpack(&raw),
        false => raw.clone(),
    };

    let spy = match request.get("spyName") {
        "" => "unknown",
        name => name,
    };
    let message = fields(&plain);
    let mut labels = vec![
        ("__name__".to_owned(), metric(&message)),
        ("__delta__".to_owned(), "false".to_owned()),
        ("service_name".to_owned(), service),
        ("pyroscope_spy".to_owned(), spy.to_owned()),
    ];
    // Others that begin with two underscores are dropped without a word.
    labels.extend(
        own.into_iter()
            .filter(|(name, _)| !name.starts_with("__") || name == "__session_id__"),
    );

    let series_bytes: usize = labels
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if series_bytes + plain.len() > limits.burst_bytes {
        return Err((
            429,
            format!(
                "pushing IngestInput-pprof failed resource_exhausted: push rate limit (4.0 MiB) exceeded while adding {} B",
                series_bytes + plain.len()
            ),
        ));
    }
    let invalid = |why: String| {
        (
            422,
            format!("pushing IngestInput-pprof failed invalid_argument: {why}"),
        )
    };
    check_profile(&message, plain.len(), limits, from, now).map_err(invalid)?;
    // Samples without a value go; a profile without samples is taken and forgotten.
    check_labels(&mut labels, limits).map_err(invalid)?;
    Ok(Ingested {
        labels: labels.into_iter().collect(),
        profile: heapsite::format::read(&raw).map_err(|error| unprocessable(error.to_string()))?,
        body: raw,
    })
}

/// The body itself with `format=pprof`; else the part `profile` of a form.
fn pprof_of(request: &Request) -> Result<Vec<u8>, String> {
    if request.get("format") == "pprof" {
        return Ok(request.body.clone());
    }
    let content_type = request.header("content-type");
    let Some((_, boundary)) = content_type.split_once("boundary=") else {
        return Err("unknown format".into());
    };
    if !content_type.starts_with("multipart/form-data") {
        return Err("unknown format".into());
    }
    let mut profile = None;
    for (name, content) in parts(&request.body, boundary.trim_matches('"'))? {
        match name.as_str() {
            "profile" => profile = Some(content),
            "prev_profile" => return Err("unsupported client version".into()),
            _ => {}
        }
    }
    profile.ok_or_else(|| "no profile".to_owned())
}

fn parts(body: &[u8], boundary: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mark = format!("--{boundary}").into_bytes();
    let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|part| part == what);
    let mut rest = body.strip_prefix(&mark[..]).ok_or("no boundary")?;
    let mut found = Vec::new();
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let end = find(part, &[b"\r\n", &mark[..]].concat()).ok_or("a part does not end")?;
        let head_end = find(part, b"\r\n\r\n").ok_or("a part has no head")?;
        let head = String::from_utf8_lossy(&part[..head_end]).into_owned();
        let name = head
            .split_once("name=\"")
            .and_then(|(_, rest)| rest.split('"').next());
        found.push((
            name.unwrap_or_default().to_owned(),
            part[head_end + 4..end].to_vec(),
        ));
        rest = &part[end + 2 + mark.len()..];
    }
    Ok(found)
}

/// labelset.Parse: application and labels.
pub(crate) fn parse_name(text: &str) -> Result<(String, BTreeMap<String, String>), String> {
    enum State {
        Name,
        Key,
        Value,
        Done,
    }
    let mut state = State::Name;
    let (mut name, mut key, mut value) = (String::new(), String::new(), String::new());
    let mut labels = BTreeMap::new();
    for c in text.chars().chain(['{']) {
        match (&state, c) {
            (State::Name, '{') => {
                name = name.trim().to_owned();
                check_service(&name)?;
                state = State::Key;
            }
            (State::Name, c) => name.push(c),
            (State::Key, '}') => state = State::Done,
            (State::Key, '=') => {
                state = State::Value;
                value.clear();
            }
            (State::Key, c) => key.push(c),
            (State::Value, ',' | '}') => {
                state = State::Key;
                let label = key.trim().to_owned();
                if label != "__name__" {
                    check_label_name(&label)?;
                }
                labels.insert(label, value.trim().to_owned());
                key.clear();
            }
            (State::Value, c) => value.push(c),
            (State::Done, _) => {}
        }
    }
    Ok((name, labels))
}

fn check_service(name: &str) -> Result<(), String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
    match (name.is_empty(), name.chars().all(is_allowed)) {
        (true, _) => Err("service name is required".into()),
        (_, false) => Err(format!("invalid service name: {name}")),
        _ => Ok(()),
    }
}

fn check_label_name(name: &str) -> Result<(), String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
    match (name.is_empty(), name.chars().all(is_allowed)) {
        (true, _) => Err("label name is required".into()),
        (_, false) => Err(format!("invalid label name: {name}")),
        _ => Ok(()),
    }
}

/// Seconds since the epoch; empty is now. Stricter than attime.Parse, which takes everything for some time or other.
fn time(text: &str, now: i64) -> Result<i64, Refusal> {
    if text.is_empty() {
        return Ok(now);
    }
    let digits = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse().ok().filter(|_| digits);
    seconds.ok_or_else(|| (400, format!("not seconds since the epoch: {text}")))
}

fn text(message: &[(u64, Value)], index: u64) -> String {
    let strings = all(message, 6);
    String::from_utf8_lossy(strings.get(index as usize).map_or(&[], Vec::as_slice)).into_owned()
}

/// RawProfile.metricName, by the sample types.
fn metric(message: &[(u64, Value)]) -> String {
    let types = all(message, 1);
    let names = types
        .iter()
        .map(|kind| text(message, number(&fields(kind), 1)));
    let mut last = String::new();
    for name in names {
        if name.contains("cpu") {
            return "process_cpu".into();
        }
        if name.contains("alloc_")
            || name.contains("inuse_")
            || name == "space"
            || name == "objects"
        {
            return "memory".into();
        }
        last = name;
    }
    last
}

/// ValidateProfile.
fn check_profile(
    message: &[(u64, Value)],
    unpacked: usize,
    limits: &Limits,
    from: i64,
    now: i64,
) -> Result<(), String> {
    // fixTime: a time of the year 1970 is `from`.
    let seconds = match number(message, 9) as i64 / 1_000_000_000 {
        0..31_536_000 => from,
        seconds => seconds,
    };
    if seconds >= now + limits.reject_newer_seconds || seconds <= now - limits.reject_older_seconds
    {
        return Err("profile is outside of ingestion window".into());
    }
    if unpacked > limits.profile_bytes {
        return Err(format!(
            "the profile exceeds the size limit (max_profile_size_byte, actual: {unpacked}, limit: {})",
            limits.profile_bytes
        ));
    }
    let samples = all(message, 2);
    if samples.len() > limits.samples {
        return Err(format!(
            "the profile exceeds the samples count limit (max_profile_stacktrace_samples, actual: {}, limit: {})",
            samples.len(),
            limits.samples
        ));
    }
    for sample in &samples {
        if all(&fields(sample), 3).len() > limits.sample_labels {
            return Err("the profile exceeds the sample labels limit".into());
        }
    }
    for (field, name) in [(4, "location"), (5, "function")] {
        if all(message, field)
            .iter()
            .any(|entry| number(&fields(entry), 1) == 0)
        {
            return Err(format!("{name} id is 0"));
        }
    }
    for kind in all(message, 1) {
        if text(message, number(&fields(&kind), 1)).contains('-') {
            return Err("sample type contains -".into());
        }
    }
    if all(message, 6)
        .iter()
        .any(|text| std::str::from_utf8(text).is_err())
    {
        return Err("invalid utf8 string".into());
    }
    // Not a rule of the server's, which drops such samples without a word; but what it drops need not be sent.
    for sample in &samples {
        let values: Vec<i64> = numbers(&fields(sample), 2)
            .iter()
            .map(|&v| v as i64)
            .collect();
        if values.iter().any(|&value| value < 0) || values.iter().all(|&value| value == 0) {
            return Err(format!("a sample with values {values:?}"));
        }
    }
    Ok(())
}

/// ValidateLabels.
fn check_labels(labels: &mut [(String, String)], limits: &Limits) -> Result<(), String> {
    labels.sort();
    if labels.len() > limits.labels {
        return Err(format!(
            "profile series has {} label names; limit {}",
            labels.len(),
            limits.labels
        ));
    }
    for (index, (name, value)) in labels.iter().enumerate() {
        let is_name = !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if name.len() > limits.label_name_bytes {
            return Err(format!("label name too long: '{name}'"));
        } else if value.len() > limits.label_value_bytes {
            return Err(format!("label value too long: '{value}'"));
        } else if name.is_empty() || !is_name {
            return Err(format!("invalid label name '{name}'"));
        } else if index > 0 && labels[index - 1].0 == *name {
            return Err(format!("duplicate label name: '{name}'"));
        }
    }
    Ok(())
}
