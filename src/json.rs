//! JSON in which no object says the same thing twice: of two values under one key, nobody can know which is meant.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The value in `text`.
///
/// # Errors
/// When it is no JSON, nests deeper than 128 levels, or an object has a key twice; the error names the line and column.
pub(crate) fn from_slice(text: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice::<Unique>(text).map(|unique| unique.0)
}

/// A value whose objects have each key once.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        // Whole numbers come here where no integer holds them, and lose their last digits.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if value.abs() >= EXACT {
            return Err(E::custom("a number is too large to be kept as it is: write it as a text, in quotes"));
        }
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(key) = object.next_key::<String>()? {
            if values.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key {key:?} stands twice in one object")));
            }
            let Unique(value) = object.next_value()?;
            values.insert(key, value);
        }
        Ok(values.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_once_is_read_as_ever() {
        let text = r#"{"b":[1,-2,3.5,"é",true,null,{}],"a":{"b":18446744073709551615}}"#;
        let value = from_slice(text.as_bytes()).expect("JSON");
        assert_eq!(value.to_string(), text, "in its order");
    }

    #[test]
    fn what_is_said_twice_is_refused_wherever_it_stands() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"c":2,"a":3}}]"#, r#"{"a":1,"\u0061":2}"#] {
            let error = from_slice(text.as_bytes()).expect_err(text).to_string();
            assert!(error.contains("\"a\" stands twice in one object at line 1"), "{error}");
        }
        assert!(from_slice(br#"[{"a":1},{"a":1}]"#).is_ok());
    }

    #[test]
    fn a_number_that_would_become_another_is_refused() {
        for text in ["12345678901234567890123", r#"{"a":[-18446744073709551616]}"#, "1e300"] {
            let error = from_slice(text.as_bytes()).expect_err(text).to_string();
            assert!(error.contains("write it as a text"), "{error}");
        }
        assert_eq!(from_slice(b"-9223372036854775808").expect("JSON").to_string(), "-9223372036854775808");
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        let deep = "[".repeat(100_000);
        for text in ["", "{", "{}x", "\u{feff}{}", &deep] {
            assert!(from_slice(text.as_bytes()).is_err(), "{text:.20}");
        }
    }
}
