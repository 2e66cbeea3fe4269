//! OpenMetrics text as Prometheus' older format 0.0.4, which every scraper reads.
#![forbid(unsafe_code)]

/// The same metrics: counters are called by the names of their samples, units and the end are not told, and what 0.0.4 has
/// no type for is told as what its samples are.
///
/// Formats: <https://prometheus.io/docs/instrumenting/exposition_formats/>,
/// <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>.
pub(super) fn from_open_metrics(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut help: Option<(&str, &str)> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            // Its name depends on the type, which comes next.
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "stateset" => ("", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some((of, help)) = help.take().filter(|(of, _)| *of == name) {
                plain += &format!("# HELP {of}{suffix} {help}\n");
            }
            plain += &format!("# TYPE {name}{suffix} {kind}\n");
        } else if !line.starts_with('#') {
            plain += line;
            plain.push('\n');
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_names_are_those_of_the_older_format() {
        let open = "# HELP a_bytes How much.\n# TYPE a_bytes gauge\n# UNIT a_bytes bytes\na_bytes{part=\"x y\"} 1.0\n\
                    # HELP b How often.\n# TYPE b counter\nb_total 2\n# TYPE c unknown\nc 3\n\
                    # HELP d Which.\n# TYPE d info\nd_info{version=\"1\"} 1\n# EOF\n";
        let plain = "# HELP a_bytes How much.\n# TYPE a_bytes gauge\na_bytes{part=\"x y\"} 1.0\n\
                     # HELP b_total How often.\n# TYPE b_total counter\nb_total 2\n# TYPE c untyped\nc 3\n\
                     # HELP d_info Which.\n# TYPE d_info gauge\nd_info{version=\"1\"} 1\n";
        assert_eq!(from_open_metrics(open), plain);
    }
}
