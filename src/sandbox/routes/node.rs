//! `GET /me` and `GET /{page}`: a name for an id.

use serde_json::{Map, Value};

use super::super::pages::Bearer;
use super::super::params::Params;
use super::super::wire::GraphError;
use super::Call;

pub(super) fn run(bearer: Bearer, call: &Call, params: &Params) -> Result<Value, GraphError> {
    if call.node != "me" && call.node != bearer.id() {
        return Err(call.unsupported());
    }
    let mut node = Map::from_iter([("id".to_owned(), Value::from(bearer.id()))]);
    let fields = params.text("fields").unwrap_or("id,name");
    for field in fields.split(',').map(str::trim) {
        match field {
            "id" | "" => {}
            "name" => {
                node.insert("name".to_owned(), bearer.name().into());
            }
            other => {
                let kind = if matches!(bearer, Bearer::User) { "User" } else { "Page" };
                let message = format!("Tried accessing nonexisting field ({other}) on node type ({kind})");
                return Err(GraphError::parameter(message));
            }
        }
    }
    Ok(node.into())
}
