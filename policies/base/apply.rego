# Who may apply for data: every department. Whether it gets what it applies for is
# answered by its provider (decree 809 art. 21). A layer can refuse it beforehand.
package gxbus.base

allow if {
	input.action == "apply"
	understood
}

understood if {
	input.version == 1
	input.action == "apply"
	input.stage == "consumer"
	party_known(input.provider)
	party_known(input.consumer)
}
