//! Bodies of JSON, read with words for what is wrong with them.

use serde::de::{DeserializeOwned, IgnoredAny};

use crate::handwritten::plainly;
use crate::service::problem::Problem;

/// What the body says, which is an object.
///
/// # Errors
/// A body that is no JSON, or not the JSON that is asked for. No value in it is told back, but for a word that is none of a list.
pub(super) fn json_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // A list would be taken for an object's values, in whatever order they are kept here.
    if body.trim_ascii_start().first() != Some(&b'{') {
        let read = serde_json::from_slice::<IgnoredAny>(body);
        return Err(read.map_or_else(|error| not_asked_for(&error), |_| no_object()));
    }
    serde_json::from_slice(body).map_err(|error| not_asked_for(&error))
}

/// What is wrong with a body that could not be read.
pub(super) fn not_asked_for(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let (said, place) = text.strip_suffix(&place).map_or((&*text, ""), |said| (said, &*place));
    let why = if error.is_eof() { "it ends too early".to_owned() } else { plainly(said) };
    Problem::invalid(format!("the body is not what is asked for{place}: {why}"))
}

/// It is JSON of another sort.
pub(super) fn no_object() -> Problem {
    Problem::invalid("the body is JSON, but no object")
}

#[cfg(test)]
mod tests {
    use super::super::resolve::Resolve;
    use super::*;

    #[test]
    fn what_is_wrong_with_a_body_is_said_in_plain_words() {
        let detail = |body: &str| json_body::<Resolve>(body.as_bytes()).expect_err(body).detail().to_owned();
        for body in ["[]", r#" [["a.png"],true,null,null]"#, "7", "null", r#""a.png""#] {
            assert_eq!(detail(body), "the body is JSON, but no object", "{body}");
        }
        for (body, why) in [
            ("", "it ends too early"),
            (r#"{"refs":["#, "it ends too early"),
            ("refs=a.png", "expected value"),
            (r#"{"upload":true}"#, "`refs` is missing"),
            (r#"{"refs":[7]}"#, "a number stands where a text belongs"),
            (r#"{"refs":[],"more":1}"#, "`more` is unknown: use one of `refs`, `upload`, `page`, `kind`"),
            // What stands in it may be a secret.
            (r#"{"refs":"https://somebody:hunter2@example.com"}"#, "a text stands where a list belongs"),
        ] {
            let said = detail(body);
            assert!(said.starts_with("the body is not what is asked for at line 1 column "), "{body}: {said}");
            assert!(said.ends_with(&format!(": {why}")) && !said.contains("hunter2"), "{body}: {said}");
        }
    }
}
