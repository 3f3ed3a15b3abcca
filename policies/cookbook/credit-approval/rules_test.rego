package gxbus.division.d440000_test

import data.gxbus.division.d440000 as province

request := {
	"action": "subscribe",
	"provider": {"department": "P"},
	"consumer": {"department": "C"},
	"resource": {"codes": ["202001/000001", "104001/0001"]},
	"grant": {"id": "credit-1"},
}

test_two_consents_are_enough if {
	count(province.deny) == 0 with input as request
}

test_one_is_not if {
	count(province.deny) == 1 with input as request with input.grant.id as "credit-2"
}

test_nor_is_none if {
	count(province.deny) == 1 with input as json.remove(request, ["/grant"])
}

test_other_data_and_the_provider_itself_need_no_second if {
	count(province.deny) == 0 with input as request with input.grant.id as "x" with input.resource.codes as ["301001/0001"]
	count(province.deny) == 0 with input as request with input.grant.id as "x" with input.consumer.department as "P"
}
