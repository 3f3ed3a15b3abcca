package gxbus.department.d1144010699990002XN_test

import data.gxbus.department.d1144010699990002XN as consumer

request := {
	"action": "subscribe",
	"consumer": {"department": "1144010699990002XN", "system": "sample-44010699990002x"},
}

test_the_named_system_receives if {
	count(consumer.deny) == 0 with input as request
}

test_another_does_not if {
	every action in ["subscribe", "deliver", "query"] {
		count(consumer.deny) == 1 with input as request with input.action as action with input.consumer.system as "test-1"
	}
	count(consumer.deny) == 1 with input as json.remove(request, ["/consumer/system"])
}

test_other_departments_are_left_alone if {
	count(consumer.deny) == 0 with input as request with input.consumer as {"department": "X", "system": "test-1"}
}
