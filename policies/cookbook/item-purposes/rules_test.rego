package gxbus.division.d440300_test

import data.gxbus.division.d440300 as city

request := {
	"action": "forward",
	"provider": {"department": "P", "divisions": ["440300", "440000"]},
	"consumer": {"department": "C"},
	"resource": {"items": [
		{"id": "title"},
		{"id": "number", "semantic": "id-number"},
		{"id": "phone", "semantic": "phone"},
		{"id": "address", "semantic": "address"},
	]},
	"purpose": "verification",
}

test_an_item_passes_for_its_purposes if {
	city.items == {"title", "number", "address"} with input as request
	city.items == {"title", "phone", "address"} with input as request with input.purpose as "collaboration"
	city.items == {"title", "address"} with input as request with input.purpose as "reference"
}

test_without_a_purpose_none_of_the_listed_does if {
	city.items == {"title", "address"} with input as json.remove(request, ["/purpose"])
}

test_within_the_department_all_do if {
	count(city.items) == 4 with input as request with input.consumer.department as "P"
}
