package gxbus.division.d440300_test

import data.gxbus.division.d440300 as city

request := {
	"action": "forward",
	"provider": {"department": "P", "divisions": ["440300", "440000"]},
	"consumer": {"department": "C", "division": "440106"},
	"resource": {"items": [{"id": "name"}, {"id": "division"}]},
}

test_rows_are_those_of_the_consumers_division if {
	every action in ["forward", "deliver", "query"] {
		city.rows == {{"item": "division", "within": ["440106"]}} with input as request with input.action as action
	}
}

test_its_own_department_sees_all if {
	city.rows == set() with input as request with input.consumer.department as "P"
}

test_a_resource_without_the_item_is_left_alone if {
	city.rows == set() with input as request with input.resource.items as [{"id": "name"}]
}

test_what_others_provide_is_left_alone if {
	city.rows == set() with input as request with input.provider.divisions as ["440100", "440000"]
}
