import { useSession } from '../../app/session.ts';
import { Badge } from '../../ui/badge.tsx';
import { Card, Fact, Facts, Page, Section } from '../../ui/page.tsx';
import { Deputies } from './deputies.tsx';
import { Notifications } from './notifications.tsx';
import { Passkeys } from './passkeys.tsx';
import { Sessions } from './sessions.tsx';

export function SettingsPage() {
  const { person } = useSession();
  return (
    <Page title="Settings">
      <Section title="You">
        <Card>
          <Facts>
            <Fact name="Name">{person.displayName}</Fact>
            <Fact name="Email">{person.email}</Fact>
            <Fact name="Roles">
              {person.roles.map((role) => (
                <Badge key={role} hue="gray">
                  {role}
                </Badge>
              ))}
            </Fact>
          </Facts>
        </Card>
      </Section>
      <Notifications />
      <Passkeys />
      <Deputies />
      <Sessions />
    </Page>
  );
}
