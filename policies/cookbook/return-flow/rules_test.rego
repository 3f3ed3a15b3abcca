package gxbus.division.d440000_test

import data.gxbus.division.d440000 as province

request := {
	"action": "forward",
	"provider": {"division": "440000"},
	"consumer": {"division": "440106", "divisions": ["440106", "440100", "440000"]},
	"resource": {"id": "provincial-permits"},
}

test_a_lower_division_gets_its_rows_and_no_condition if {
	province.rows == {{"item": "division", "within": ["440106"]}} with input as request
	count(province.deny) == 0 with input as request
}

test_a_city_gets_those_of_its_counties_too if {
	city := {"division": "440100", "divisions": ["440100", "440000"]}
	province.rows == {{"item": "division", "within": ["440100"]}} with input as request with input.consumer as city
}

test_a_department_of_the_province_gets_all_for_a_matter if {
	peer := {"division": "440000", "divisions": ["440000"]}
	province.rows == set() with input as request with input.consumer as peer with input.matter as "m"
	count(province.deny) == 1 with input as request with input.consumer as peer
	count(province.deny) == 0 with input as request with input.consumer as peer with input.matter as "m"
}

test_other_resources_are_left_alone if {
	province.rows == set() with input as request with input.resource.id as "x"
	count(province.deny) == 0 with input as request with input.resource.id as "x"
}
