"""Settings: `section` and `schema` say what there is, `layers` where values come from, `registry` which learners."""
