package gxbus.division.d440300_test

import data.gxbus.division.d440300 as city

request := {
	"action": "forward",
	"time": "2026-03-04T02:30:00.000000000Z",
	"provider": {"divisions": ["440300", "440000"]},
	"grant": {"not_before": "2026-02-10T00:00:00.000000000Z"},
}

test_a_new_grant_is_limited if {
	city.limits == {{"limit": 100, "per": "minute", "key": "grant"}} with input as request
}

test_after_thirty_days_it_is_not if {
	city.limits == set() with input as request with input.time as "2026-03-12T00:00:00.000000000Z"
}

test_without_a_grant_or_elsewhere_it_is_not if {
	city.limits == set() with input as json.remove(request, ["/grant"])
	city.limits == set() with input as request with input.provider.divisions as ["440100", "440000"]
}
