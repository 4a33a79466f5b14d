//! Relays of the settings: what a changed file changes, and what it leaves alone.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::relay::is_on_air;
use crate::server::Server;
use crate::stream::{Feed, Viewer};
use crate::web::Web;
use crate::wire::Wire;

/// A push as the settings file has it.
fn push(key: &str, url: &str) -> String {
    format!("[[relays]]\ndirection = 'push'\nstream-key = '{key}'\nurl = '{url}'\n")
}

/// A pull as the settings file has it.
fn pull(key: &str, url: &str, on_demand: bool) -> String {
    format!("[[relays]]\ndirection = 'pull'\nstream-key = '{key}'\nurl = '{url}'\non-demand = {on_demand}\n")
}

/// A server with these settings.
async fn server(flags: &str, settings: &str) -> Server {
    Server::start_with(flags, &[("flumen.toml", settings)]).await
}

/// Gives the server other settings, all at once.
fn change(server: &Server, settings: &str) {
    let path = server.folder().join("flumen.toml");
    let new = path.with_extension("new");
    fs::write(&new, settings).expect("written");
    fs::rename(&new, &path).expect("renamed");
    server.signal(Signal::HUP);
}

/// The relay of the stream `key`, once it is as it shall be.
async fn relay_of(web: &Web, key: &str, is_right: impl Fn(&Value) -> bool) -> Value {
    let find = |list: &Value| {
        let relays = list["relays"].as_array().cloned().unwrap_or_default();
        relays.into_iter().find(|relay| relay["streamKey"] == key)
    };
    let list = web.get_until("/api/v1/relays", |list| find(list).is_some_and(|relay| is_right(&relay))).await;
    find(&list).expect("just found")
}

fn is_running(relay: &Value) -> bool {
    relay["state"] == "running"
}

async fn is_off_air(web: &Web, name: &str) {
    web.get_until("/api/v1/streams", |list| {
        list["streams"].as_array().is_some_and(|all| all.iter().all(|stream| stream["streamKey"] != name))
    })
    .await;
}

#[tokio::test]
async fn a_changed_file_leaves_the_other_relays_alone() {
    let there = Server::start("").await;
    let stays = push("live/one", &there.url("live/copy-one?token=hunter2"));
    let goes = push("live/two", &there.url("live/copy-two"));
    let comes = push("live/two", &there.url("live/copy-three"));
    let here = server("", &format!("{stays}{goes}")).await;
    let (web, web_there) = (Web::of(&here).await, Web::of(&there).await);
    let _feeds = [Feed::start(&here.url("live/one")).await, Feed::start(&here.url("live/two")).await];
    relay_of(&web, "live/two", is_running).await;
    let before = relay_of(&web, "live/one", is_running).await;
    is_on_air(&web_there, "live/copy-one").await;
    let viewer = Viewer::start(&there.url("live/copy-one")).await;

    change(&here, &format!("{stays}{comes}"));
    is_on_air(&web_there, "live/copy-three").await;
    is_off_air(&web_there, "live/copy-two").await;
    change(&here, &format!("{stays}{goes}direction = 'both'\n"));
    here.logged(&[r#""level":"error""#, "settings not reloaded"]).await;
    let list = web.get("/api/v1/relays").await.ok();
    assert_eq!(list["total"], 2, "{list}");
    change(&here, &stays);
    is_off_air(&web_there, "live/copy-three").await;

    viewer.stays_content().await;
    let after = relay_of(&web, "live/one", is_running).await;
    for field in ["id", "since", "failures"] {
        assert_eq!(before[field], after[field], "{field}");
    }
    let connections = there.log().lines().filter(|line| line.contains(r#""msg":"publishing""#)).count();
    assert_eq!(connections, 3, "one for each relay that there was");
    for shown in [here.log(), list.to_string()] {
        assert!(!shown.contains("hunter2") && !shown.contains("copy-one"), "{shown}");
    }
}

#[tokio::test]
async fn a_relay_of_the_settings_belongs_to_them() {
    let there = Server::start("").await;
    let data = tempfile::tempdir().expect("a folder");
    let flags = format!("--data-dir {}", data.path().display());
    let here = server(&flags, &push("show", &there.url("live/copy"))).await;
    let web = Web::of(&here).await;
    let relay = relay_of(&web, "live/show", |relay| relay["origin"] == "settings").await;
    let address = format!("/api/v1/relays/{}", relay["id"].as_str().expect("an id"));
    assert!(web.delete(&address).await.problem(409).contains("settings"));
    let same = json!({"streamKey": "show", "direction": "push", "url": there.url("live/copy")});
    web.post("/api/v1/relays", Some(same)).await.problem(409);
    web.get(&address).await.ok();
    here.stop().await;
    let here = Server::start(&flags).await;
    assert_eq!(Web::of(&here).await.get("/api/v1/relays").await.ok()["total"], 0, "nothing is kept of it");
}

#[tokio::test]
async fn what_was_ordered_over_the_api_makes_room_for_the_settings() {
    let here = server("", "").await;
    let web = Web::of(&here).await;
    let url = "rtmp://127.0.0.1:1/live/copy";
    let order = json!({"streamKey": "show", "direction": "push", "url": url});
    let made = web.post("/api/v1/relays", Some(order)).await.json();
    assert_eq!(made["origin"], "api", "{made}");
    change(&here, &push("show", url));
    here.logged(&[r#""level":"warn""#, "there is such a relay already"]).await;
    web.delete(&format!("/api/v1/relays/{}", made["id"].as_str().expect("an id"))).await.ok();
    let list = web.get("/api/v1/relays").await.ok();
    assert_eq!((&list["total"], &list["relays"][0]["origin"]), (&json!(1), &json!("settings")));
}

/// The other server, and the hub for a pull, would refuse a second one beside the first.
#[tokio::test]
async fn a_changed_relay_comes_after_the_one_before() {
    let there = Server::start("").await;
    let _feed = Feed::start(&there.url("live/show")).await;
    let here = server("", &pull("live/copy", &there.url("live/show"), false)).await;
    let web = Web::of(&here).await;
    let before = relay_of(&web, "live/copy", is_running).await;
    let mut viewer = Wire::connect(here.address(), "live").await;
    viewer.play("copy").await.expect("it is on air");
    change(&here, &pull("live/copy", &there.url("live/show"), true));
    let after = relay_of(&web, "live/copy", |relay| relay["onDemand"] == true && is_running(relay)).await;
    assert_ne!(before["id"], after["id"]);
    assert_eq!(after["failures"], 0, "{after}");
}

#[tokio::test]
async fn a_pattern_pushes_each_stream_while_it_is_on_air() {
    let there = Server::start("").await;
    let here = server("", &push("live/*", &there.url("{app}-copy/{name}"))).await;
    let (web, web_there) = (Web::of(&here).await, Web::of(&there).await);
    assert_eq!(web.get("/api/v1/relays").await.ok()["total"], 0);
    let other = Feed::start(&here.url("other/show")).await;
    let one = Feed::start(&here.url("live/one")).await;
    let _two = Feed::start(&here.url("live/two")).await;
    is_on_air(&web_there, "live-copy/one").await;
    is_on_air(&web_there, "live-copy/two").await;
    Viewer::start(&there.url("live-copy/one")).await.stays_content().await;
    one.finish().await;
    web.get_until("/api/v1/relays", |list| list["total"] == 1).await;
    is_off_air(&web_there, "live-copy/one").await;
    let _one = Feed::start(&here.url("live/one")).await;
    is_on_air(&web_there, "live-copy/one").await;
    assert_eq!(relay_of(&web, "live/one", is_running).await["failures"], 0);

    change(&here, &push("other/*", &there.url("{app}-copy/{name}")));
    is_on_air(&web_there, "other-copy/show").await;
    is_off_air(&web_there, "live-copy/one").await;
    assert_eq!(web.get("/api/v1/relays").await.ok()["total"], 1);
    other.finish().await;
    web.get_until("/api/v1/relays", |list| list["total"] == 0).await;
}
