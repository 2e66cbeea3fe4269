//! The file itself: one page with its style, scripts and data in it. It asks nobody for anything, and its policy would not
//! let it.
#![forbid(unsafe_code)]

use serde_json::Value;

use super::data::title;

const PAGE: &str = include_str!("assets/report.html");
const STYLE: [&str; 2] = [
    include_str!("../../http/page/assets/page.css"),
    include_str!("assets/report.css"),
];
/// In the order in which they use each other.
const SCRIPTS: [&str; 6] = [
    include_str!("../../http/page/assets/text.js"),
    include_str!("../../http/page/assets/flame.js"),
    include_str!("assets/charts.js"),
    include_str!("assets/findings.js"),
    include_str!("assets/lines.js"),
    include_str!("assets/report.js"),
];

pub(super) fn page(data: &Value) -> String {
    let mut script = String::new();
    for part in SCRIPTS {
        for line in part.lines() {
            // One module: names are known without being imported.
            if !line.starts_with("import ") && line != "export { percent };" {
                script += line.strip_prefix("export ").unwrap_or(line);
                script.push('\n');
            }
        }
    }
    // Nothing in the data may end the element that it stands in.
    let text = data.to_string().replace('<', "\\u003c");
    let parts = [
        ("TITLE", escaped(&title(data))),
        ("STYLE", STYLE.join("\n")),
        ("DATA", text),
        ("SCRIPT", script),
    ];
    let mut page = PAGE;
    let mut file = String::with_capacity(PAGE.len() + parts[2].1.len() + parts[3].1.len());
    for (name, text) in parts {
        if let Some((before, after)) = page.split_once(&format!("<!--{name}-->")) {
            file += before;
            file += &text;
            page = after;
        }
    }
    file + page
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_is_asked_for_and_nothing_ends_early() {
        let data = json!({ "profiles": [{ "name": "a</script><b>&" }], "lines": "</script>" });
        let file = page(&data);
        assert_eq!(file.matches("</script>").count(), 2, "its own");
        assert!(file.contains("a&lt;/script>&lt;b>&amp;"), "in the title");
        assert!(file.contains("\\u003c/script>"));
        for name in ["TITLE", "STYLE", "SCRIPT", "DATA"] {
            assert!(!file.contains(&format!("<!--{name}-->")), "{name}");
        }
        for reference in [
            " src=",
            "href=\"http",
            "url(",
            "@import",
            "import ",
            "fetch(",
        ] {
            assert!(!file.contains(reference), "{reference}");
        }
        assert!(file.contains("default-src 'none'"));
    }
}
