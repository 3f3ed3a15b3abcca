package gxbus.division.d440000_test

import data.gxbus.division.d440000 as province

request := {
	"action": "forward",
	"purpose": "reference",
	"provider": {"department": "P"},
	"consumer": {"department": "1144010699990002XN"},
	"resource": {"items": [
		{"id": "number", "type": "C", "semantic": "id-number", "personal": true},
		{"id": "holder", "type": "C", "semantic": "name", "personal": true},
		{"id": "address", "type": "C", "semantic": "address", "personal": true},
		{"id": "birth_date", "type": "D", "personal": true},
		{"id": "registered", "type": "D"},
		{"id": "amount", "type": "N"},
	]},
}

test_identities_become_codes_and_dates_years if {
	province.masks == {
		"number": {"method": "pseudonym"},
		"holder": {"method": "null"},
		"address": {"method": "county"},
		"birth_date": {"method": "year"},
	} with input as request
}

test_other_purposes_and_departments_are_left_alone if {
	province.masks == {} with input as request with input.purpose as "verification"
	province.masks == {} with input as request with input.consumer.department as "X"
}
