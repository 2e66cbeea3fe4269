//! The settings of pushes as text, with the feature `push` and without.
#![forbid(unsafe_code)]

use super::Config;

pub(super) use chosen::set;
#[cfg(feature = "push")]
pub(super) use chosen::validate;

#[cfg(feature = "push")]
mod chosen {
    use super::super::text::{duration, size};
    use super::Config;
    use crate::error::{Error, Result};
    use crate::push::{LABEL_LISTS, Options, URLS, label_list};

    /// Sets one key; the error says what would be accepted. What a key alone does not tell is looked at when triggers
    /// start.
    pub(in super::super) fn set(
        mut config: Config,
        key: &str,
        value: &str,
    ) -> Result<Config, String> {
        let options = config.push.take().unwrap_or_else(|| Options::new(""));
        let options = match key {
            "push" if value.is_empty() => return Err(URLS.to_owned()),
            "push" => options.url(value),
            "push_name" => options.application(value),
            "push_labels" => {
                let labels = label_list(value)?;
                if labels.is_empty() {
                    return Err(LABEL_LISTS.to_owned());
                }
                let add = |options: Options, (name, value)| options.label(name, value);
                labels.into_iter().fold(options, add)
            }
            "push_interval" => options.interval(duration(value)?),
            "push_max" => options.max_bytes(size(value)?),
            "push_user" => options.user(value),
            "push_password" => options.password(value),
            "push_token" => options.bearer(value),
            "push_tenant" => options.tenant(value),
            _ => return ca_file(config, options, value),
        };
        config.push = Some(options);
        Ok(config)
    }

    #[cfg(feature = "push-tls")]
    fn ca_file(mut config: Config, options: Options, value: &str) -> Result<Config, String> {
        config.push = Some(options.ca_file(value));
        Ok(config)
    }

    #[cfg(not(feature = "push-tls"))]
    fn ca_file(_: Config, _: Options, _: &str) -> Result<Config, String> {
        Err(super::needs("push-tls"))
    }

    /// What the keys do not tell one by one.
    pub(in super::super) fn validate(config: &Config) -> Result<()> {
        match &config.push {
            None => Ok(()),
            Some(options) if options.has_no_url() => Err(Error::config(format!(
                "key `push` is missing, but others that begin with `push_` are there: {URLS}"
            ))),
            Some(options) => options.validate(),
        }
    }
}

#[cfg(not(feature = "push"))]
mod chosen {
    use super::Config;

    pub(in super::super) fn set(_: Config, _: &str, _: &str) -> Result<Config, String> {
        Err(super::needs("push"))
    }
}

#[cfg(not(feature = "push-tls"))]
fn needs(feature: &str) -> String {
    format!(
        "this program was built without heapsite's feature `{feature}`; accepted with \
         `heapsite = {{ features = [\"{feature}\"], … }}` in its Cargo.toml"
    )
}

#[cfg(test)]
mod tests {
    use crate::Config;

    #[cfg(feature = "push")]
    #[test]
    fn the_same_in_text_and_in_code() {
        use crate::push::Options;
        use std::time::Duration;

        let read = |text: &str| {
            text.parse::<Config>()
                .unwrap_or_else(|e| panic!("{text}: {e}"))
        };
        let text = "push_labels=region=eu;zone=a,push_interval=15s,push=http://p:4040,push_name=shop,\
                    push_max=512KiB,push_tenant=t,push_token=s=3";
        let options = Options::new("http://p:4040")
            .application("shop")
            .label("region", "eu")
            .label("zone", "a")
            .interval(Duration::from_secs(15))
            .max_bytes(512 << 10)
            .tenant("t");
        assert_eq!(
            read(text),
            Config::new().push(options.clone().bearer("s=3"))
        );
        read(text).validate().unwrap();
        // In either order.
        for text in [
            "push=http://a,push_user=me,push_password=hush",
            "push_password=hush,push_user=me,push=http://a",
        ] {
            let options = Options::new("http://a").basic_auth("me", "hush");
            assert_eq!(read(text), Config::new().push(options));
            assert!(!format!("{:?}", read(text)).contains("hush"));
        }
    }

    #[cfg(feature = "push")]
    #[test]
    fn what_cannot_be_used_is_told_without_the_secret() {
        for (text, parts) in [
            ("push=", ["key `push`, value ``", "http://"]),
            (
                "push=http://a,push_interval=0s",
                ["key `push_interval`, value `0s`", "above 0"],
            ),
            (
                "push=http://a,push_labels=x",
                ["key `push_labels`, value `x`", "region=eu"],
            ),
            (
                "push=x,push=http://me:hush@a",
                ["key `push`, value `…`", "given twice"],
            ),
            ("push_token=a,hush,push=x", ["`…` has no `=`", "key=value"]),
            (
                "push_token=hush,push_token=hush",
                ["key `push_token`, value `…`", "given twice"],
            ),
        ] {
            let error = text.parse::<Config>().unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
        for (text, parts) in [
            ("push_name=shop", ["key `push` is missing", "http://"]),
            ("push=ftp://a", ["key `push`, value `ftp://a`", "http://"]),
            (
                "push=http://me:hush@a",
                ["key `push`, value `…@a`", "without user"],
            ),
            (
                "push=http://a,push_password=hush hush",
                ["key `push_password`", "not shown"],
            ),
            (
                "push=http://a,push_labels=a-b=c",
                ["key `push_labels`, value `a-b=c`", "letters"],
            ),
        ] {
            let error = text.parse::<Config>().unwrap().validate().unwrap_err();
            assert!(error.is_config());
            let error = error.to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[cfg(not(feature = "push"))]
    #[test]
    fn without_the_feature_it_says_which_is_needed() {
        for text in [
            "push=http://a",
            "push_name=a",
            "push_token=hush",
            "push_ca=x",
        ] {
            let error = text.parse::<Config>().unwrap_err();
            assert!(error.is_config());
            let error = error.to_string();
            assert!(
                error.contains("feature `push`") && !error.contains("hush"),
                "{error}"
            );
        }
    }

    #[cfg(all(feature = "push", not(feature = "push-tls")))]
    #[test]
    fn certificates_take_a_feature_of_their_own() {
        let error = "push_ca=x".parse::<Config>().unwrap_err().to_string();
        assert!(error.contains("feature `push-tls`"), "{error}");
    }
}
