package gxbus.division.d440300_test

import data.gxbus.division.d440300 as city

request := {
	"action": "forward",
	"provider": {"divisions": ["440300", "440000"]},
	"consumer": {"divisions": ["440106", "440100", "440000"]},
	"resource": {"id": "event-types"},
	"event": {"id": "1", "source": "/systems/register", "type": "cn.gov.sample.firm.inspected.v1"},
}

test_what_is_not_listed_stays if {
	{r.code | some r in city.deny} == {"event-type-not-open"} with input as request
}

test_what_is_listed_leaves if {
	every type in ["cn.gov.sample.firm.registered.v1", "cn.gov.sample.firm.cancelled.v1"] {
		count(city.deny) == 0 with input as request with input.event.type as type
	}
}

test_the_city_gets_all if {
	count(city.deny) == 0 with input as request with input.consumer.divisions as ["440304", "440300", "440000"]
}

test_other_resources_and_subscribing_are_free if {
	count(city.deny) == 0 with input as request with input.resource.id as "x"
	count(city.deny) == 0 with input as request with input.action as "subscribe"
}
