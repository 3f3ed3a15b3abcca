package gxbus.division.d440100_test

import data.gxbus.division.d440100 as city

request := {
	"action": "forward",
	"provider": {"department": "P"},
	"consumer": {"department": "C", "divisions": ["440106", "440100", "440000"]},
	"resource": {"items": [{"id": "holder", "semantic": "name"}, {"id": "number", "semantic": "id-number"}]},
	"case": "20260304-0001",
}

test_personal_records_have_a_quota_by_case if {
	city.limits == {{"limit": 3, "per": "case", "key": "consumer"}} with input as request
	count(city.deny) == 0 with input as request
}

test_without_a_case_they_are_denied if {
	every action in ["subscribe", "forward", "deliver", "query"] {
		count(city.deny) == 1 with input as json.remove(request, ["/case"]) with input.action as action
	}
}

test_other_records_have_none if {
	city.limits == set() with input as request with input.resource.items as [{"id": "title"}]
	count(city.deny) == 0 with input as json.remove(request, ["/case"]) with input.resource.items as [{"id": "title"}]
}

test_nor_have_other_cities if {
	city.limits == set() with input as request with input.consumer.divisions as ["440300", "440000"]
}
