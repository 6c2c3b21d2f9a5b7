//! What the gallery asks for: the library, its pictures, and what is put into it.

use std::io::Write;

use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::ids::listen;
use crate::campaign::{TEXT, campaign};
use crate::support::pictures::png;
use crate::support::served::{Answer, Served};
use crate::support::{World, wait_until};

fn names(page: &Value) -> Vec<String> {
    let assets = page["assets"].as_array().expect("assets");
    assets.iter().map(|asset| asset["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn the_library_is_searched_filtered_and_leafed_through() {
    let world = World::new();
    for number in 1..=5 {
        world.put(format!("banners/{number}.png"), png(number));
    }
    world.run(["sync", "library"]).ended_with(0);
    world.put("later.png", png(9));
    world.put("Notes.pdf", "%PDF-1.4\n%%EOF\n");
    let served = Served::start(&world);
    let all = served.get("/v1/assets");
    assert_eq!(names(&all), ["1.png", "2.png", "3.png", "4.png", "5.png", "later.png", "Notes.pdf"]);
    assert_eq!(
        (&all["total"], &all["counts"]["live"], &all["counts"]["not_uploaded"]),
        (&7.into(), &5.into(), &2.into())
    );
    assert_eq!(names(&served.get("/v1/assets?state=not_uploaded")), ["later.png", "Notes.pdf"]);
    assert_eq!(names(&served.get("/v1/assets?kind=file")), ["Notes.pdf"]);
    assert_eq!(names(&served.get("/v1/assets?q=NOTES")), ["Notes.pdf"]);
    assert_eq!(names(&served.get("/v1/assets?sort=expires&limit=1")).len(), 1);
    let id = all["assets"][2]["attachment_id"].as_str().expect("an id");
    assert_eq!(names(&served.get(&format!("/v1/assets?q={id}"))), ["3.png"]);
    let hash = all["assets"][3]["sha256"].as_str().expect("a hash");
    assert_eq!(names(&served.get(&format!("/v1/assets?q={}", &hash[..12]))), ["4.png"]);
    assert_eq!(names(&served.get("/v1/assets?offset=5&limit=10")), ["later.png", "Notes.pdf"]);
    let one = served.get(&format!("/v1/assets/{hash}"));
    assert!(one["paths"][0].as_str().expect("a path").ends_with("banners/4.png"), "{one}");
    assert_eq!(one["uploads"].as_array().expect("uploads").len(), 1);
    assert_eq!(served.call("GET", "/v1/assets?cursor=abc", "").status, 400);
    assert_eq!(served.call("GET", "/v1/assets?sort=odd", "").status, 400);
    assert_eq!(served.call("GET", "/v1/assets?state=live,lively", "").status, 400);
    assert_eq!(served.call("GET", "/v1/assets?limit=0", "").status, 400);
    assert_eq!(served.call("GET", "/v1/assets?page=zzz", "").status, 404);
    let page = all["assets"][0]["page_id"].as_str().expect("a Page");
    assert_eq!(served.get(&format!("/v1/assets?page={page}"))["total"], 5);
    for nonsense in ["zz", "2026", "2026-13", "2026-12-32", "2026-12-1"] {
        let answer = served.call("GET", &format!("/v1/assets?expires={nonsense}"), "");
        assert_eq!(answer.status, 400, "{nonsense}");
    }
    assert_eq!(served.get("/v1/assets?expires=2001-02")["total"], 0);
    assert_eq!(served.get("/v1/assets?expires=2001-02-03")["total"], 0);
    // What is named and left empty is not asked for.
    assert_eq!(served.get("/v1/assets?q=&state=&kind=&page=&expires=&sort=&cursor=&offset=&limit=")["total"], 7);
}

#[test]
fn what_is_refused_unread_is_rejected_and_shown() {
    let world = World::new();
    world.put("hero.png", png(1));
    world.put("film.mp4", vec![0; 26_214_401]);
    for empty in ["one.png", "other.png"] {
        world.put(empty, "");
    }
    mkfifoat(CWD, world.library().join("pipe.png"), Mode::RWXU).expect("a pipe");
    let served = Served::start(&world);
    let all = served.get("/v1/assets");
    assert_eq!(names(&all), ["film.mp4", "hero.png", "one.png", "other.png", "pipe.png"]);
    assert_eq!(
        (&all["total"], &all["counts"]["rejected"], &all["counts"]["not_uploaded"]),
        (&5.into(), &4.into(), &1.into())
    );
    assert_eq!(all["assets"][1]["problems"], json!([]));
    for (place, size, kind, mime, why) in [
        (0_usize, json!(26_214_401), "video", "video/mp4", "too_large"),
        (2, json!(0), "image", "image/png", "empty"),
        (4, Value::Null, "image", "image/png", "not_a_regular_file"),
    ] {
        let asset = &all["assets"][place];
        assert_eq!((&asset["state"], &asset["sha256"]), (&json!("rejected"), &Value::Null), "{asset}");
        assert_eq!((&asset["size_bytes"], &asset["thumbnail"]), (&size, &json!(false)), "{asset}");
        assert_eq!((&asset["kind"], &asset["mime"]), (&json!(kind), &json!(mime)), "{asset}");
        assert_eq!(asset["problems"][0]["code"], why, "{asset}");
    }
    assert_eq!(names(&served.get("/v1/assets?q=film&state=rejected")), ["film.mp4"]);
    assert_eq!(names(&served.get("/v1/assets?sort=size&limit=1")), ["film.mp4"]);
    // Of bytes nobody has read, nobody knows whether they are the same.
    assert_eq!(served.get("/v1/duplicates")["groups"], json!([]));
    let mut leafed = Vec::new();
    let mut next = Some(String::new());
    while let Some(cursor) = next {
        let page = served.get(&format!("/v1/assets?state=rejected&limit=1&cursor={cursor}"));
        leafed.extend(names(&page));
        next = page["next_cursor"].as_str().map(str::to_owned);
    }
    assert_eq!(leafed, ["film.mp4", "one.png", "other.png", "pipe.png"]);
}

#[test]
fn a_folder_that_goes_away_takes_no_other_along() {
    let world = World::new();
    let more = world.library().with_file_name("share");
    std::fs::create_dir(&more).expect("a folder");
    std::fs::write(more.join("b.png"), png(2)).expect("a file");
    world.put("a.png", png(1));
    let served = Served::start_with(&world, &["--library", more.to_str().expect("a name")]);
    assert_eq!(names(&served.get("/v1/assets")), ["a.png", "b.png"]);
    std::fs::rename(&more, more.with_file_name("away")).expect("moved");
    // Whatever was seen before counts no more.
    assert_eq!(served.call("PUT", "/v1/aliases/a", r#"{"ref":"a.png"}"#).status, 200);
    assert_eq!(names(&served.get("/v1/assets")), ["a.png"]);
}

#[test]
fn the_same_bytes_are_a_waste_where_they_lie_twice() {
    let world = World::new();
    for name in ["a.png", "b.png", "c.png"] {
        world.put(name, png(1));
    }
    for (at, name) in [("b.png", "d.png"), ("b.png", "e.png")] {
        std::fs::hard_link(world.library().join(at), world.library().join(name)).expect("a link");
    }
    let found = Served::start(&world).get("/v1/duplicates");
    let (group, size) = (&found["groups"][0], png(1).len());
    assert_eq!((&group["copies"], &group["size_bytes"]), (&3.into(), &size.into()), "{found}");
    assert_eq!((&group["wasted_bytes"], &found["wasted_bytes"]), (&(2 * size).into(), &(2 * size).into()));
    assert_eq!(group["paths"].as_array().expect("paths").len(), 5);
}

#[test]
fn pages_of_rows_hold_while_rows_come_and_go() {
    let world = World::new();
    for number in 1..=9 {
        world.put(format!("{number}.png"), png(number));
    }
    world.run(["sync", "library"]).ended_with(0);
    let served = Served::start(&world);
    let first = served.get("/v1/assets?limit=4");
    assert_eq!(names(&first), ["1.png", "2.png", "3.png", "4.png"]);
    // One of the first goes, and one comes before the place.
    std::fs::remove_file(world.library().join("2.png")).expect("removed");
    world.run(["forget", "library/3.png"]).ended_with(0);
    std::fs::remove_file(world.library().join("3.png")).expect("removed");
    world.put("0.png", png(77));
    // An alias of its own makes the service look anew.
    assert_eq!(served.call("PUT", "/v1/aliases/five", r#"{"ref":"5.png"}"#).status, 200);
    let cursor = first["next_cursor"].as_str().expect("more");
    let second = served.get(&format!("/v1/assets?limit=4&cursor={cursor}"));
    assert_eq!(names(&second), ["5.png", "6.png", "7.png", "8.png"]);
    let last = served.get(&format!("/v1/assets?limit=4&cursor={}", second["next_cursor"].as_str().expect("more")));
    assert_eq!((names(&last), &last["next_cursor"]), (vec!["9.png".to_owned()], &Value::Null));
    assert_eq!(names(&served.get("/v1/assets?q=@five")), ["5.png"]);
}

/// Files as a browser's form sends them.
fn form(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = b"--cut\r\nContent-Disposition: form-data; name=\"folder\"\r\n\r\n0\r\n".to_vec();
    for (name, bytes) in files {
        let head = format!("--cut\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        body.extend([head.as_bytes(), bytes, b"\r\n"].concat());
    }
    body.extend(b"--cut--\r\n");
    body
}

fn drop_on(served: &Served, form: &[u8]) -> Answer {
    let bearer = format!("Bearer {}", served.token);
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "multipart/form-data; boundary=cut")];
    served.ask("POST", "/v1/assets", &headers, form)
}

fn upload(served: &Served, files: &[(&str, &[u8])]) -> Answer {
    drop_on(served, &form(files))
}

#[test]
fn what_is_dropped_on_the_page_is_kept_and_uploaded() {
    let world = World::new();
    world.put("hero.png", png(1));
    let served = Served::start(&world);
    let (one, two) = (png(1), png(2));
    let dropped = upload(&served, &[("hero.png", &two), ("../../hero.png", &one), ("evil.html", b"<script>")]);
    assert_eq!(dropped.status, 200, "{}", dropped.text());
    let assets = dropped.json()["assets"].clone();
    assert!(assets[0]["path"].as_str().expect("a path").ends_with("library/hero (2).png"), "{assets}");
    assert!(assets[1]["path"].as_str().expect("a path").ends_with("library/hero.png"), "{assets}");
    assert_eq!(assets[0]["outcome"], "uploaded");
    let mut kept: Vec<_> =
        std::fs::read_dir(world.library()).expect("a folder").flatten().map(|f| f.file_name()).collect();
    kept.sort();
    assert_eq!(kept, ["evil.html", "hero (2).png", "hero.png"]);
    let seen = names(&served.get("/v1/assets?state=live"));
    assert!(seen.contains(&"hero (2).png".to_owned()), "{seen:?}");
    // What cannot be taken keeps nobody from the next.
    let (three, large) = (png(3), vec![0; 26_214_401]);
    let mixed = upload(&served, &[("big.bin", &large), ("Reattach.TOML", b"[pages]"), ("three.png", &three)]);
    assert_eq!(mixed.status, 200, "{}", mixed.text());
    let assets = mixed.json()["assets"].clone();
    for (place, name, outcome, why) in [
        (0_usize, "big.bin", "rejected", Some("has more than the 25 MB Meta takes")),
        (1, "Reattach.TOML", "rejected", Some("what reattach's own settings are called")),
        (2, "three.png", "uploaded", None),
    ] {
        let asset = &assets[place];
        assert_eq!((&asset["ref"], &asset["outcome"]), (&json!(name), &json!(outcome)), "{asset}");
        let message = asset["error"]["message"].as_str();
        assert_eq!(message.zip(why).map(|(message, why)| message.contains(why)), why.map(|_| true), "{asset}");
    }
    // Nor is what came before lost where there can be no next one.
    let (four, five) = (png(4), png(5));
    let mut cut_short = form(&[("four.png", &four), ("five.png", &five)]);
    cut_short.truncate(cut_short.len() - b"--cut--\r\n".len());
    let broken = drop_on(&served, &cut_short);
    assert_eq!(broken.status, 400, "{}", broken.text());
    assert_eq!(broken.json()["assets"][0]["outcome"], "uploaded", "{}", broken.text());
    assert_eq!(std::fs::read_dir(world.library()).expect("a folder").count(), 5);
    let is_problem = |answer: &Answer| answer.header("content-type") == Some("application/problem+json");
    let formless = served.call("POST", "/v1/assets", "{}");
    assert_eq!((formless.status, is_problem(&formless)), (400, true), "{}", formless.text());
    let nameless = served.call("GET", "/v1/assets/%ff", "");
    assert_eq!((nameless.status, is_problem(&nameless)), (400, true), "{}", nameless.text());
    // Not even by somebody who may look.
    let bearer = format!("Bearer {}", served.read_token);
    let form = ("Content-Type", "multipart/form-data; boundary=cut");
    assert_eq!(served.ask("POST", "/v1/assets", &[("Authorization", &bearer), form], b"--cut--\r\n").status, 403);
}

#[test]
fn pictures_are_shown_small_and_everything_else_is_handed_over_to_be_saved() {
    let world = World::new();
    let picture = world.put("hero.png", png(1));
    world.put("page.html", "<!doctype html><script>alert(1)</script>");
    world.put("broken.png", &png(2)[..40]);
    world.put("evil.svg", "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>");
    world.run(["sync", "library"]);
    let served = Served::start(&world);
    let all = served.get("/v1/assets");
    let hash_of = |name: &str| {
        let assets = all["assets"].as_array().expect("assets");
        let asset = assets.iter().find(|asset| asset["name"] == name).unwrap_or_else(|| panic!("no {name} in {all}"));
        asset["sha256"].as_str().expect("a hash").to_owned()
    };
    let look = |name: &str, what: &str| served.call("GET", &format!("/v1/assets/{}/{what}", hash_of(name)), "");
    for _ in 0..2 {
        let small = look("hero.png", "thumbnail");
        assert_eq!((small.status, small.header("x-content-type-options")), (200, Some("nosniff")));
        let size = image_size(&small.body);
        assert!(size.0.max(size.1) <= 320, "{size:?}");
    }
    assert_eq!(look("broken.png", "thumbnail").status, 404);
    assert_eq!(look("page.html", "thumbnail").status, 404);
    // Nobody need ask for what there never is.
    let has = |name: &str| served.get(&format!("/v1/assets?q={name}"))["assets"][0]["thumbnail"].clone();
    assert_eq!(["hero.png", "evil.svg", "page.html"].map(has), [true, false, false]);
    assert_eq!(look("evil.svg", "thumbnail").status, 404);
    let shown = look("hero.png", "content");
    assert_eq!(shown.body, std::fs::read(&picture).expect("a file"));
    assert_eq!(shown.header("content-type"), Some("image/png"));
    let saved = look("page.html", "content");
    assert_eq!(saved.header("content-type"), Some("application/octet-stream"));
    assert!(saved.header("content-disposition").expect("one").starts_with("attachment;"));
    assert!(saved.header("content-security-policy").expect("one").starts_with("sandbox"));
    let asked = format!("/v1/assets/{}/content", hash_of("hero.png"));
    let bearer = format!("Bearer {}", served.read_token);
    let part = |range: &str| served.ask("GET", &asked, &[("Authorization", &bearer), ("Range", range)], b"");
    let first = part("Bytes=0-99999999999999999999");
    let whole = shown.body.len();
    let range = format!("bytes 0-{}/{whole}", whole - 1);
    assert_eq!((first.status, first.header("content-range"), &first.body), (206, Some(&*range), &shown.body));
    // Who asks for what is no range of bytes, or for several, asks for all.
    for range in ["lines=0-1", "bytes=0-1,3-4", "bytes=4-2", "bytes"] {
        let all = part(range);
        assert_eq!((all.status, all.header("content-range"), &all.body), (200, None, &shown.body), "{range}");
    }
    let behind = part(&format!("bytes={whole}-"));
    assert_eq!((behind.status, behind.header("content-range")), (416, Some(&*format!("bytes */{whole}"))));
    assert_eq!(behind.header("content-type"), Some("application/problem+json"));
    assert_eq!(behind.json()["type"], "urn:reattach:problem:range");
    // A file that holds other bytes by now is not what was asked for.
    std::fs::write(&picture, png(8)).expect("written");
    assert_eq!(served.call("GET", &asked, "").status, 404);
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_was_half_received_leaves_nothing_behind() {
    let world = World::new();
    let mut served = Served::start(&world);
    let begun = "--cut\r\nContent-Disposition: form-data; name=\"folder\"\r\n\r\n0\r\n--cut\r\n\
                 Content-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n";
    let head = format!(
        "POST /v1/assets HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: multipart/form-data; boundary=cut\r\nContent-Length: 90000\r\n\r\n{begun}",
        served.address, served.token
    );
    let mut stream = served.connect();
    stream.write_all(&[head.as_bytes(), &png(1)[..16]].concat()).expect("written");
    let (files, library) = (format!("/proc/{}/fd", served.process()), world.library());
    let is_open = || {
        let open = std::fs::read_dir(&files).expect("its files").filter_map(|file| file.ok()?.path().read_link().ok());
        open.into_iter().any(|path| path != library && path.starts_with(&library))
    };
    wait_until("it is being received", is_open);
    served.end(Signal::KILL);
    let left: Vec<_> = std::fs::read_dir(&library).expect("a folder").filter_map(Result::ok).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn image_size(bytes: &[u8]) -> (u32, u32) {
    let probe = reattach::media::probe(bytes);
    let size = probe.dimensions.expect("a picture");
    (size.width, size.height)
}

#[test]
fn a_campaign_somebody_has_seen_running_is_told_of_when_it_is_not() {
    let world = World::new();
    // Nobody is too slow to pause it.
    let limits = "[limits]\nmessages_per_second = 1\n";
    campaign(&world, 60, &format!("{TEXT}{limits}"));
    let served = Served::start(&world);
    let mut run = world.start(["campaign", "run", "library/spring.toml", "--yes", "--json"]);
    let begin = listen(&served, Some("0-0"), "{}")[0].0.clone();
    while served.call("GET", "/v1/campaigns/spring", "").json()["state"] != "running" {
        assert!(run.try_wait().expect("runs").is_none(), "it has ended");
    }
    // By somebody the service hears nothing of, and before it looks by itself.
    world.run(["campaign", "pause", "spring"]).ended_with(0);
    run.wait().expect("ends");
    let told = listen(&served, Some(&begin), "\"state\":\"paused\"");
    assert!(told.last().expect("news").1.starts_with("campaign "), "{told:?}");
}
