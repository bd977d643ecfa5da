import type { Command } from 'commander';
import { addGroup, addVerb } from '../verb.ts';

export function addNotificationVerbs(program: Command): void {
  const notifications = addGroup(
    program,
    'notifications',
    'your browsers that tell you what waits: list, test, remove',
  );
  addVerb(notifications, {
    usage: 'list',
    summary: 'list the browsers in which you are notified',
    details: 'Turning one on is done in that browser: the console, under Settings.',
    server: true,
    isDefault: true,
    examples: [['notifications', 'Which browsers tell you, and when they last did.']],
    load: async () => (await import('../commands/notifications.ts')).listNotifications,
  });
  addVerb(notifications, {
    usage: 'test <browser>',
    summary: 'send a notification to it that asks for nothing',
    details: 'Exit code 1 when its push service did not take it; what went wrong is printed.',
    server: true,
    examples: [['notifications test psh_06f9x2m4k8qc', 'Whether it arrives on the phone.']],
    load: async () => (await import('../commands/notifications.ts')).testNotification,
  });
  addVerb(notifications, {
    usage: 'remove <browser>',
    summary: 'have it tell you nothing any more',
    server: true,
    examples: [['notifications remove psh_06f9x2m4k8qc', 'Of a phone that is lost.']],
    load: async () => (await import('../commands/notifications.ts')).removeNotification,
  });
}
