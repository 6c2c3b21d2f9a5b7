//! What `sandbox --help` says of the control routes.

/// How it is started, and the control routes, each with an example, for `--help` and the README.
pub const HELP: &str = r#"EXAMPLE
  reattach sandbox --port 7790 --state sandbox.json

CONTROL ROUTES (no token needed; U is the sandbox's URL; 403 for other Hosts and for web pages)
  What was accepted: attachments, messages in order, counters. At most 10000 messages, or
  ?limit=N; go on with ?since=NEXT where the answer's "next" is not null; leave them out with
  ?messages=false.
    curl U/__sandbox/state
  What goes wrong from here on: a rule, a list of rules consumed in order, or a seed. GET shows
  what is left, DELETE clears it.
    curl U/__sandbox/faults -d '{"on":"send","when":"after","fault":{"reset":true},"times":2}'
    curl U/__sandbox/faults -d '[{"on":"upload","fault":{"status":503}},{"fault":{"close":true}}]'
    curl U/__sandbox/faults -d '{"on":"batch","when":"after","fault":{"drop_last":true}}'
    curl U/__sandbox/faults -d '{"seed":7,"rate":0.1}'
      on      upload, send, me, debug_token, conversations: also single requests of a batch;
              batch: one as a whole; any: a request or a batch as a whole, and with a recipient
              also single requests of a batch (any)
      when    head (body unread; never a request of a batch), before (work not done), after (work
              done, answer spoiled) (before)
      times   how often it strikes (1);  every  strikes each Nth match (1)
      recipient  only messages to this one;  sha256  only uploads of these bytes
      fault   wait:    {"stall":true} for ever, {"stall_ms":N}
              answer:  {"status":503,"body":"…"}, {"graph":{"code":613,"message":"…"},"status":400},
                       {"html":true}, {"null":true}, each with "headers":{"Retry-After":"3"}
              spoil:   {"truncate":true} half the body, {"drip_ms":N} a byte each N ms
              list:    {"drop_last":true}, {"extra":true}, {"swap":true}: a batch's answer
              end:     {"close":true} FIN, {"reset":true} RST, {"mid_head":true} or
                       {"mid_body":true} (FIN; RST with "reset":true)
              nothing: {"pass":true}
      A request of a batch has no connection of its own: there, each end makes its answer null,
      and drip_ms does nothing.
  How much a Page may do: 613 and 80006 past that, usage headers with "headers". GET shows it,
  DELETE lifts it.
    curl U/__sandbox/limits -d '{"messages_per_second":40,"regain_minutes":5,"headers":true}'
      also media_per_second, calls_per_day. Each Page for itself, on the sandbox's clock, requests
      of a batch one by one. Past a limit it is shut out for regain_minutes; without them, until
      what it did is past.
  Who can be reached: one, or a list; others at any time. GET shows them, DELETE forgets them.
    curl U/__sandbox/people -d '{"id":"7","last_interaction_at":"2026-01-01T00:00:00Z"}'
    curl U/__sandbox/people -d '[{"id":"8","error":"551"},{"id":"9","platform":"instagram"}]'
      last_interaction_at  when they last wrote, for the windows of 24 hours and 7 days, and in
                           their conversation; null is never
      error                what everything to them is refused with: code/subcode, or a code alone
                           (an unknown one lists all)
      platform             messenger, instagram (messenger)
  The sandbox's time, which attachment ids expire by.
    curl U/__sandbox/clock -d '{"advance":"90d"}'
      also {"advance_seconds":60}, {"set":"2027-01-01T00:00:00Z"}; GET shows it
  Make an attachment id useless.
    curl -X POST U/__sandbox/attachments/ID/revoke
  Refuse calls without appsecret_proof.
    curl U/__sandbox/proof -d '{"required":true}'
  As new: nothing accepted, no faults, no limits, nobody described, real time.
    curl -X POST U/__sandbox/reset
  End it.
    curl -X POST U/__sandbox/stop

URLS (none is ever fetched)
  Hosts under .invalid cannot be fetched: 2018008, and 389 for videos; large.invalid stands for a
  picture over 8 MB.
  What ends in .html, .htm or .exe is 546.
"#;
