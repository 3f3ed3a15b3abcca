package gxbus.division.d440100_test

import data.gxbus.division.d440100 as city

request := {
	"action": "forward",
	"provider": {"department": "A", "divisions": ["440300", "440000"]},
	"consumer": {"department": "B", "divisions": ["440106", "440100", "440000"]},
	"resource": {"items": [
		{"id": "name"},
		{"id": "registered_address", "semantic": "address"},
		{"id": "mailing_address", "semantic": "address"},
	]},
}

test_the_registered_address_is_narrowed_away if {
	city.items == {"name", "mailing_address"} with input as request
}

test_a_query_does_not_bring_it if {
	city.items == {"name", "mailing_address"} with input as request with input.action as "query"
}

test_consumers_elsewhere_keep_it if {
	"registered_address" in city.items with input as request
		with input.consumer.divisions as ["440305", "440300", "440000"]
}

test_an_item_of_another_meaning_keeps_its_place if {
	"registered_address" in city.items with input as request
		with input.resource.items as [{"id": "registered_address", "semantic": "uscc"}]
}

test_publishing_is_left_alone if {
	"registered_address" in city.items with input as request with input.action as "publish"
}
