package gxbus.division.d440300_test

import data.gxbus.division.d440300 as city

request := {
	"action": "deliver",
	"provider": {"department": "P", "divisions": ["440300", "440000"]},
	"consumer": {"department": "C"},
	"resource": {"items": [{"id": "title", "grade": 1}, {"id": "phone", "grade": 3}]},
}

test_sensitive_data_is_marked if {
	every action in ["forward", "deliver", "query"] {
		city.watermark with input as request with input.action as action
	}
}

test_other_data_is_not if {
	not city.watermark with input as request with input.resource.items as [{"id": "title", "grade": 2}]
	not city.watermark with input as request with input.consumer.department as "P"
	not city.watermark with input as request with input.provider.divisions as ["440100", "440000"]
}
