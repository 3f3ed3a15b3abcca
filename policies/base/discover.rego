# Who may find a resource in the directory: every department and every
# administrator, whatever its sharing attribute. A layer can hide it from them.
package gxbus.base

allow if {
	input.action == "discover"
	understood
}

understood if {
	input.version == 1
	input.action == "discover"
	input.stage == "consumer"
	party_known(input.provider)
	seeker
}

seeker if party_known(input.consumer)

# An administrator is of no department.
seeker if {
	input.consumer.role in {"system-administrator", "security-administrator", "auditor"}
	not input.consumer.department
}
