/**
 * Who may do what at the control API, unless a workspace says more or less with policies of its own (kind `ControlPolicy`). Permits
 * can be narrowed by a `forbid` of the workspace and widened by a `permit`; the forbids here hold whatever a workspace writes.
 */
export const builtInPolicies = `
@id("everyone-reads")
permit (principal is Person, action in Action::"read", resource)
when { principal in [Role::"admin", Role::"security", Role::"approver", Role::"auditor", Role::"developer", Role::"owner"] };

// Also somebody without any role, who is here to let agents act for them.
@id("everybody-looks-after-themselves")
permit (principal is Person, action in [Action::"self", Action::"passkeys", Action::"consent"], resource);

@id("who-inspects")
permit (principal is Person, action in Action::"inspect", resource)
when { principal in [Role::"admin", Role::"security", Role::"auditor", Role::"developer"] };

@id("who-oversees")
permit (principal is Person, action in Action::"oversee", resource)
when { principal in [Role::"admin", Role::"security", Role::"auditor"] };

@id("who-refreshes")
permit (principal is Person, action in Action::"refresh", resource)
when { principal in [Role::"admin", Role::"security", Role::"developer"] };

@id("security-stops-and-reviews")
permit (principal is Person, action in [Action::"kill", Action::"operate", Action::"lifecycle", Action::"review", Action::"deny", Action::"people", Action::"secure", Action::"ship", Action::"hold", Action::"erase"], resource)
when { principal in [Role::"admin", Role::"security"] };

// Any of these may own an agent. An owner with none of them is an auditor, who changes nothing.
@id("owners-look-after-their-agents")
permit (principal is Person, action in [Action::"kill", Action::"operate"], resource)
when { principal in [Role::"owner", Role::"developer", Role::"approver"] && principal == resource.owner };

@id("approvers-decide")
permit (principal in Role::"approver", action in [Action::"approve", Action::"deny"], resource);

@id("owners-decide-for-their-agents")
permit (principal is Person, action in [Action::"approve", Action::"deny"], resource)
when { principal in [Role::"owner", Role::"developer"] && principal == resource.owner };

// Whom the policy that asked names in a rule of its own (kind ApprovalRule).
@id("those-named-decide")
permit (principal is Person, action in [Action::"approve", Action::"deny"], resource)
when { resource.named.contains(principal) };

@id("who-asks-to-break-the-glass")
permit (principal is Person, action in Action::"ask-break-glass", resource)
when { principal in [Role::"admin", Role::"security", Role::"approver", Role::"developer", Role::"owner"] };

@id("who-breaks-the-glass")
permit (principal is Person, action in Action::"break-glass", resource)
when { principal in [Role::"admin", Role::"security", Role::"approver"] };

@id("admins-administer")
permit (principal in Role::"admin", action in [Action::"administer", Action::"admit", Action::"provision"], resource);

// The local token of the server's host: whoever has it has the host. It administers and stops; it never says yes (law 4).
@id("the-operator")
permit (
  principal is Operator,
  action in [
    Action::"read", Action::"self", Action::"ask-break-glass", Action::"inspect", Action::"refresh", Action::"kill", Action::"operate",
    Action::"lifecycle", Action::"review", Action::"deny", Action::"people", Action::"oversee", Action::"secure", Action::"administer",
    Action::"admit", Action::"provision", Action::"hold"
  ],
  resource
);

@id("law-4-the-operator-never-approves")
forbid (principal is Operator, action in [Action::"approve", Action::"ship", Action::"erase", Action::"break-glass"], resource);

// A shell may be shared with an agent. Nothing that is said there is a yes, its answers let nobody in who could say one, and the key of
// the root is not carried out. What else could widen something, its person confirms in a browser, whatever policies permit.
@id("law-4-a-terminal-never-approves")
@reason("A session of the command line may not do this: open the console in a browser.")
forbid (
  principal,
  action in [
    Action::"approve", Action::"ship", Action::"erase", Action::"break-glass", Action::"consent", Action::"review", Action::"passkeys", Action::"admit",
    Action::"POST /trust-domain/root/export"
  ],
  resource
) when { context.restricted };
`;
