//! Tokens, proofs, Pages and paths.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::super::{APP_ID, APP_SECRET, USER_TOKEN};
use super::*;

fn proof(message: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(APP_SECRET.as_bytes()).expect("a key");
    mac.update(message.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn seconds(lab: &Lab) -> i64 {
    lab.now().as_unix_millis() / 1_000
}

#[tokio::test]
async fn me_is_whoever_the_token_speaks_for() {
    let lab = lab().await;
    for page in lab.pages() {
        let (_, me) = answer(lab.get("/v25.0/me?fields=id,name").bearer_auth(page.access_token)).await;
        assert_eq!(me, json!({ "id": page.id, "name": page.name }));
        let path = format!("/{}?fields=id&access_token={}", page.id, page.access_token);
        assert_eq!(answer(lab.get(&path)).await.1, json!({ "id": page.id }));
    }
    let (_, person) = answer(lab.get("/me").bearer_auth(USER_TOKEN)).await;
    assert_eq!(person["name"], "Sandbox Person");
    let refused = answer(lab.get("/me?fields=shoe_size").bearer_auth(BAKERY)).await;
    assert_refused(&refused, 100, 0, "(#100) Tried accessing nonexisting field (shoe_size) on node type (Page)");
}

#[tokio::test]
async fn a_node_has_the_fields_of_its_type_and_can_list_them() {
    let lab = lab().await;
    let me = async |token: &str, query: &str| answer(lab.get(&format!("/v25.0/me?{query}")).bearer_auth(token)).await;
    let page = me(BAKERY, "fields=category,link").await.1;
    assert_eq!(page["link"], format!("https://www.facebook.com/{}", PAGES[0].id));
    assert_eq!(page.as_object().map(serde_json::Map::len), Some(3));
    assert_eq!(me(USER_TOKEN, "fields=first_name").await.1["first_name"], "Sandbox");
    let refused = me(USER_TOKEN, "fields=id,category").await;
    assert_refused(&refused, 100, 0, "(#100) Tried accessing nonexisting field (category) on node type (User)");
    for (token, kind, field) in [(BAKERY, "page", "category"), (USER_TOKEN, "user", "first_name")] {
        let (_, node) = me(token, "metadata=1&fields=id,metadata{type}").await;
        assert_eq!((&node["metadata"]["type"], node.get("name")), (&json!(kind), None));
        let fields = node["metadata"]["fields"].as_array().expect("fields");
        assert!(fields.iter().any(|one| one["name"] == field && one["type"] == "string"), "{node}");
    }
    assert!(me(BAKERY, "").await.1.get("metadata").is_none());
}

#[tokio::test]
async fn a_token_says_what_it_is() {
    let lab = lab().await;
    let app = format!("{APP_ID}|{APP_SECRET}");
    let debug = async |bearer: &str, token: &str| {
        let (status, answer) = answer(lab.get(&format!("/debug_token?input_token={token}")).bearer_auth(bearer)).await;
        assert_eq!(status, 200, "{answer}");
        answer["data"].clone()
    };
    let page = debug(&app, FLORIST).await;
    assert_eq!((&page["type"], &page["is_valid"], &page["app_id"]), (&json!("PAGE"), &json!(true), &json!(APP_ID)));
    assert_eq!((&page["profile_id"], &page["expires_at"]), (&json!(PAGES[1].id), &json!(0)));
    assert!(page["scopes"].as_array().is_some_and(|scopes| scopes.contains(&json!("pages_messaging"))));
    assert_eq!(page["data_access_expires_at"].as_i64().map(|at| (at - seconds(&lab)) / 86_000), Some(90));
    let user = debug(BAKERY, USER_TOKEN).await;
    assert_eq!((&user["type"], user.get("profile_id")), (&json!("USER"), None));
    assert!(user["user_id"].is_string());
    assert_eq!(debug(USER_TOKEN, &app).await["type"], "APP");
    let unknown = debug(&app, "EAAB").await;
    assert_eq!((&unknown["is_valid"], &unknown["error"]["code"]), (&json!(false), &json!(190)));
    let none = answer(lab.get("/debug_token").bearer_auth(BAKERY)).await;
    assert_refused(&none, 100, 0, "(#100) The parameter input_token is required");
    let nobody = answer(lab.get(&format!("/debug_token?input_token={BAKERY}"))).await;
    assert_eq!((nobody.0, &nobody.1["error"]["code"]), (400, &json!(190)));
    assert_eq!(lab.truth().counters.requests.debug_token, 6);
}

#[tokio::test]
async fn an_app_token_can_neither_send_nor_upload() {
    let lab = lab().await;
    let app = format!("{APP_ID}|{APP_SECRET}");
    let refused = answer(json_body(lab.post("/me/messages").bearer_auth(&app), &hello("7"))).await;
    assert_refused(&refused, 190, 0, "(#190) This method must be called with a Page Access Token");
    assert_eq!(answer(lab.get("/me").bearer_auth(&app)).await.1["id"], APP_ID);
    let wrong = answer(lab.get("/me").bearer_auth(format!("{APP_ID}|other"))).await;
    assert_eq!(wrong.1["error"]["code"], 190);
}

#[tokio::test]
async fn no_token_and_unknown_tokens_are_190() {
    let lab = lab().await;
    let none = answer(lab.get("/v25.0/me")).await;
    assert_refused(&none, 190, 0, "An access token is required to request this resource.");
    let unknown = answer(json_body(lab.post("/me/messages").bearer_auth("EAAB"), &hello("7"))).await;
    assert_refused(&unknown, 190, 0, "Invalid OAuth access token - Cannot parse access token");
}

#[tokio::test]
async fn a_user_token_can_neither_send_nor_upload() {
    let lab = lab().await;
    for path in ["/me/messages", "/me/message_attachments"] {
        let refused = answer(json_body(lab.post(path).bearer_auth(USER_TOKEN), &hello("7"))).await;
        assert_refused(&refused, 190, 0, "(#190) This method must be called with a Page Access Token");
    }
}

#[tokio::test]
async fn a_page_answers_to_its_own_token_alone() {
    let lab = lab().await;
    for edge in ["messages", "message_attachments"] {
        let path = format!("/v25.0/{}/{edge}", PAGES[0].id);
        let refused = answer(json_body(lab.post(&path).bearer_auth(FLORIST), &hello("7"))).await;
        assert_eq!((&refused.1["error"]["code"], &refused.1["error"]["error_subcode"]), (&json!(100), &json!(33)));
    }
    let own = format!("/{}/messages", PAGES[1].id);
    assert_eq!(answer(json_body(lab.post(&own).bearer_auth(FLORIST), &hello("7"))).await.0, 200);
}

#[tokio::test]
async fn the_header_outranks_the_body_and_the_body_the_query() {
    let lab = lab().await;
    let mut body = hello("7");
    body["access_token"] = json!(FLORIST);
    let query = "/me/messages?access_token=nobody";
    assert_eq!(answer(json_body(lab.post(query), &body)).await.0, 200);
    assert_eq!(answer(json_body(lab.post(query).bearer_auth(BAKERY), &body)).await.0, 200);
    let pages: Vec<String> = lab.truth().messages.into_iter().map(|message| message.page_id).collect();
    assert_eq!(pages, [PAGES[1].id, PAGES[0].id]);
}

#[tokio::test]
async fn a_proof_is_checked_wherever_it_comes_from() {
    let lab = lab().await;
    let now = seconds(&lab);
    let timed = |time: i64| format!("appsecret_proof={}&appsecret_time={time}", proof(&format!("{BAKERY}|{time}")));
    let wrong = "Invalid appsecret_proof provided in the API argument";
    let post = async |query: String| {
        let path = format!("/v25.0/me/messages?{query}");
        answer(json_body(lab.post(&path).bearer_auth(BAKERY), &hello("7"))).await
    };
    assert_eq!(post(format!("appsecret_proof={}", proof(BAKERY))).await.0, 200);
    assert_eq!(post(timed(now)).await.0, 200);
    assert_eq!(post(timed(now - 290)).await.0, 200);
    for query in [
        timed(now - 310),
        timed(now + 320),
        format!("appsecret_proof={}", proof(FLORIST)),
        format!("appsecret_proof={}&appsecret_time={now}", proof(BAKERY)),
        "appsecret_proof=zz".to_owned(),
        format!("appsecret_proof={}&appsecret_time=soon", proof(BAKERY)),
    ] {
        assert_refused(&post(query).await, 100, 0, wrong);
    }
    let mut body = hello("7");
    body["appsecret_proof"] = json!(proof(BAKERY));
    assert_eq!(lab.send(&body).await.0, 200);
    assert!(lab.truth().messages.iter().all(|message| !message.request.contains_key("appsecret_proof")));
    lab.advance_clock(std::time::Duration::from_mins(6));
    assert_refused(&post(timed(now)).await, 100, 0, wrong);
}

#[tokio::test]
async fn a_proof_can_be_required() {
    let lab = lab().await;
    lab.require_proof(true);
    let missing = "API calls from the server require an appsecret_proof argument";
    assert_refused(&lab.send(&hello("7")).await, 100, 0, missing);
    assert_eq!(answer(lab.get(&format!("/me?appsecret_proof={}", proof(BAKERY))).bearer_auth(BAKERY)).await.0, 200);
    lab.require_proof(false);
    assert_eq!(lab.send(&hello("7")).await.0, 200);
}

#[tokio::test]
async fn paths_nobody_answers_to_are_33_or_2500() {
    let lab = lab().await;
    let unsupported = |method: &str, node: &str| {
        format!(
            "Unsupported {method} request. Object with ID '{node}' does not exist, cannot be loaded due to missing \
             permissions, or does not support this operation. Please read the Graph API documentation at \
             https://developers.facebook.com/docs/graph-api"
        )
    };
    let get = |path: &str| answer(lab.get(path).bearer_auth(BAKERY));
    let post = |path: &str| answer(json_body(lab.post(path).bearer_auth(BAKERY), &json!({})));
    assert_refused(&get("/v25.0/12345").await, 100, 33, &unsupported("get", "12345"));
    assert_refused(&get("/v25.0/me/messages").await, 100, 33, &unsupported("get", "me"));
    assert_refused(&post("/v25.0/me").await, 100, 33, &unsupported("post", "me"));
    assert_refused(&post("/v25.0/12345/messages").await, 100, 33, &unsupported("post", "12345"));
    assert_refused(
        &post("/v25.0/me/message_attachment").await,
        2_500,
        0,
        "Unknown path components: /message_attachment",
    );
    assert_refused(&get("/v25.0/me/feed/x").await, 2_500, 0, "Unknown path components: /feed/x");
    assert_refused(&get("/v25/me").await, 2_500, 0, "Unknown path components: /me");
    let requests = lab.truth().counters.requests;
    assert_eq!((requests.other, requests.batch), (4, 1));
}
