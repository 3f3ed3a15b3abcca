package gxbus.division.d440000_test

import data.gxbus.division.d440000 as province

request := {"action": "forward", "consumer": {"department": "1144010699990002XN"}}

test_what_goes_to_the_affected_waits if {
	every action in ["forward", "deliver", "query"] {
		{r.code | some r in province.hold} == {"incident"} with input as request with input.action as action
	}
}

test_others_go_on if {
	count(province.hold) == 0 with input as request with input.consumer.department as "X"
}

test_what_they_publish_is_taken if {
	count(province.hold) == 0 with input as request with input.action as "publish"
}
