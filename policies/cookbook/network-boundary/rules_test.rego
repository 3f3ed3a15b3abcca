package gxbus.division.d440000_test

import data.gxbus.division.d440000 as province

request := {
	"action": "subscribe",
	"provider": {"department": "P"},
	"consumer": {"department": "C"},
	"resource": {"network": "departmental"},
}

test_it_stays_on_its_network if {
	{r.code | some r in province.deny} == {"network-boundary"} with input as request
}

test_those_on_it_get_it if {
	count(province.deny) == 0 with input as request with input.consumer.department as "11440000999900062B"
	count(province.deny) == 0 with input as request with input.consumer.department as "P"
}

test_other_networks_are_left_alone if {
	every network in ["government", "internet"] {
		count(province.deny) == 0 with input as request with input.resource.network as network
	}
	count(province.deny) == 0 with input as json.remove(request, ["/resource/network"])
}
