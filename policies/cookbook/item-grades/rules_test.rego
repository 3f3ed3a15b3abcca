package gxbus.division.d440300_test

import data.gxbus.division.d440300 as city

request := {
	"action": "forward",
	"provider": {"department": "P", "divisions": ["440300", "440000"]},
	"consumer": {"department": "C", "system": "sample-44010699990002x"},
	"resource": {"items": [
		{"id": "title", "grade": 1},
		{"id": "name", "grade": 2},
		{"id": "phone", "grade": 3},
		{"id": "key", "grade": 4},
	]},
}

test_a_listed_system_gets_up_to_its_grade if {
	city.items == {"title", "name", "phone"} with input as request
}

test_one_that_is_not_listed_gets_grades_1_and_2 if {
	city.items == {"title", "name"} with input as request with input.consumer.system as "other"
	city.items == {"title", "name"} with input as json.remove(request, ["/consumer/system"])
}

test_within_the_department_and_elsewhere_all_stay if {
	count(city.items) == 4 with input as request with input.consumer.department as "P"
	count(city.items) == 4 with input as request with input.provider.divisions as ["440100", "440000"]
}
