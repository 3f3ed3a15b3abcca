package gxbus.division.d440000_test

import data.gxbus.division.d440000 as province

request := {
	"action": "forward",
	"provider": {"department": "P"},
	"consumer": {"department": "1144010699990002XN"},
	"resource": {"id": "school-enrolment", "items": [{"id": "pupil", "semantic": "name"}, {"id": "birth_date"}]},
	"purpose": "administrative-basis",
	"matter": "440106001000",
}

test_who_serves_children_gets_them_masked if {
	count(province.deny) == 0 with input as request
	province.masks == {"pupil": {"method": "surname"}, "birth_date": {"method": "year"}} with input as request
}

test_nobody_else_gets_them if {
	count(province.deny) == 1 with input as request with input.consumer.department as "X"
}

test_nor_for_another_purpose if {
	every purpose in ["reference", "collaboration"] {
		count(province.deny) == 1 with input as request with input.purpose as purpose
	}
}

test_nor_without_a_matter if {
	count(province.deny) == 1 with input as json.remove(request, ["/matter"])
}

test_other_registers_and_the_provider_are_left_alone if {
	count(province.deny) == 0 with input as request with input.purpose as "reference" with input.resource.id as "x"
	province.masks == {} with input as request with input.resource.id as "x"
	count(province.deny) == 0 with input as request with input.purpose as "reference" with input.consumer.department as "P"
}
