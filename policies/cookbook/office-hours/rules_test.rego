package gxbus.division.d440300_test

import data.gxbus.division.d440300 as city

# Wednesday, 4 March 2026, 10:30 in Shenzhen.
request := {
	"action": "forward",
	"time": "2026-03-04T02:30:00.000000000Z",
	"provider": {"divisions": ["440300", "440000"]},
	"resource": {"sharing": {"type": "conditional"}},
}

test_it_passes_in_office_hours if {
	every time in ["2026-03-04T00:30:00.000000000Z", "2026-03-04T02:30:00.000000000Z", "2026-03-06T09:29:59.000000000Z"] {
		count(city.hold) == 0 with input as request with input.time as time
	}
}

test_it_waits_outside_them if {
	every time in [
		"2026-03-04T00:29:59.000000000Z", # 8:29 on Wednesday
		"2026-03-04T09:30:00.000000000Z", # 17:30
		"2026-03-07T02:30:00.000000000Z", # Saturday
		"2026-03-07T16:30:00.000000000Z", # 0:30 on Sunday, still Saturday in UTC
	] {
		count(city.hold) == 1 with input as request with input.time as time
	}
}

test_unconditional_data_does_not_wait if {
	count(city.hold) == 0 with input as request
		with input.time as "2026-03-07T02:30:00.000000000Z"
		with input.resource.sharing.type as "unconditional"
}

test_others_data_and_other_actions_do_not_wait if {
	count(city.hold) == 0 with input as request
		with input.time as "2026-03-07T02:30:00.000000000Z"
		with input.provider.divisions as ["440100", "440000"]
	count(city.hold) == 0 with input as request
		with input.time as "2026-03-07T02:30:00.000000000Z"
		with input.action as "subscribe"
}
