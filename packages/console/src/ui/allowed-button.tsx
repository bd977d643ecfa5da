import { Button, type ButtonProps } from '@mantine/core';
import type { ComponentPropsWithoutRef } from 'react';
import type { Obstacle } from '../app/session.ts';

type Props = ButtonProps & Omit<ComponentPropsWithoutRef<'button'>, keyof ButtonProps> & { obstacle: Obstacle };

/** A button that says why it cannot be pressed by who is signed in. The server decides; this only tells before. */
export function AllowedButton({ obstacle, disabled, title, ...rest }: Props) {
  return (
    <Button variant="default" {...rest} disabled={obstacle !== null || disabled === true} title={obstacle ?? title} />
  );
}
