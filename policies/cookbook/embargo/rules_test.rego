package gxbus.division.d440300_test

import data.gxbus.division.d440300 as city

request := {
	"action": "forward",
	"time": "2099-04-20T01:59:59.999999999Z",
	"provider": {"department": "P"},
	"consumer": {"department": "C"},
	"resource": {"id": "quarterly-statistics"},
}

test_it_waits_until_it_is_published if {
	{r.code | some r in city.hold} == {"embargo"} with input as request
	count(city.hold) == 0 with input as request with input.time as "2099-04-20T02:00:00.000000000Z"
}

test_its_own_department_and_other_resources_do_not_wait if {
	count(city.hold) == 0 with input as request with input.consumer.department as "P"
	count(city.hold) == 0 with input as request with input.resource.id as "x"
}
