use super::*;

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn load(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Loaded, Vec<String>> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("flumen.toml");
    fs::write(&path, file).expect("a file");
    let sources = Sources { file: Some(path), env: pairs(env), flags: pairs(flags) };
    sources.load().map_err(|problems| problems.0.iter().map(Problem::to_string).collect())
}

fn key(name: &str) -> &'static Key {
    crate::config::key::find(name).expect("a key")
}

#[test]
fn the_later_layer_wins_and_every_value_has_its_origin() {
    let file = "[limits]\nstreams = 1\nconnections = 1\nviewers-per-stream = 1\n";
    let env = [("FLUMEN_LIMITS_STREAMS", "2"), ("FLUMEN_LIMITS_CONNECTIONS", "2"), ("HOME", "/")];
    let loaded = load(file, &env, &[("limits.streams", "3")]).expect("valid settings");
    let limits = &loaded.settings.limits;
    let seen =
        [limits.streams, limits.connections, limits.viewers_per_stream].map(|limit| limit.map(u32::from));
    assert_eq!(seen, [Some(3), Some(2), Some(1)]);
    assert_eq!(loaded.origin(key("limits.streams")).to_string(), "--limits-streams");
    assert_eq!(loaded.origin(key("limits.connections")).to_string(), "FLUMEN_LIMITS_CONNECTIONS");
    let in_file = loaded.origin(key("limits.viewers-per-stream")).to_string();
    assert!(in_file.ends_with("flumen.toml:4:1"), "{in_file}");
    assert_eq!(*loaded.origin(key("record.all")), Origin::Default);
}

#[test]
fn a_spelling_mistake_in_the_environment_is_an_error() {
    let problems = load("", &[("FLUMEN_RTMP_ADRR", "127.0.0.1:1")], &[]).expect_err("a mistake");
    let expected =
        "FLUMEN_RTMP_ADRR: there is no setting `FLUMEN_RTMP_ADRR`; did you mean `FLUMEN_RTMP_ADDR`?";
    assert_eq!(problems, [expected]);
}

#[test]
fn variables_of_kubernetes_services_are_no_settings() {
    let env = [
        ("FLUMEN_SERVICE_HOST", "10.0.0.1"),
        ("FLUMEN_SERVICE_PORT", "1935"),
        ("FLUMEN_SERVICE_PORT_RTMP", "1935"),
        ("FLUMEN_PORT", "tcp://10.0.0.1:1935"),
        ("FLUMEN_PORT_1935_TCP_ADDR", "10.0.0.1"),
        ("FLUMEN_EDGE_SERVICE_HOST", "10.0.0.2"),
    ];
    assert!(load("", &env, &[]).is_ok());
    assert!(load("", &[("FLUMEN_PORT", "1935")], &[]).is_err());
}

#[test]
fn problems_of_all_layers_come_together() {
    let env = [("FLUMEN_RECORD_ALL", "perhaps"), ("FLUMEN_RTMP_USERS", "hunter2")];
    let problems = load("x = 1", &env, &[("play.linger", "soon")]).expect_err("mistakes");
    assert_eq!(problems.len(), 4, "{problems:#?}");
    assert_eq!(
        problems[1],
        "FLUMEN_RECORD_ALL: `record.all`: invalid type: string \"perhaps\", expected a boolean"
    );
    assert!(!problems[2].contains("hunter2"), "{}", problems[2]);
    assert!(problems[3].starts_with("--play-linger: `play.linger`: invalid value: string \"soon\""));
}

#[test]
fn mistakes_between_settings_name_the_origin() {
    let problems = load("", &[], &[("rtmps.addr", "127.0.0.1:1936")]).expect_err("a mistake");
    assert_eq!(problems, ["--rtmps-addr: `rtmps.addr` needs `tls.cert` and `tls.key`"]);
}

#[test]
fn a_named_file_must_exist() {
    let sources = Sources { file: Some("no/such.toml".into()), ..Sources::default() };
    let problems = sources.load().expect_err("no file");
    assert!(problems.to_string().contains("no/such.toml does not exist"), "{problems}");
}

#[test]
fn lists_and_maps_have_the_same_meaning_everywhere() {
    let file = "[rtmp]\naddr = ['127.0.0.1:1', '127.0.0.1:2']\n[rtmp.users]\nann = 'x'\n";
    let env = [("FLUMEN_RTMP_ADDR", "127.0.0.1:1,127.0.0.1:2"), ("FLUMEN_RTMP_USERS", "ann=x")];
    let from_file = load(file, &[], &[]).expect("valid settings");
    let from_env = load("", &env, &[]).expect("valid settings");
    assert_eq!(from_file.settings, from_env.settings);
}
